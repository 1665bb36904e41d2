// A server whose answers a test writes down: handlers that are left out answer UNIMPLEMENTED.
// Listens on a socket of its own, so that it can be stopped and started again at the same address.
// The handlers are called by gRPC's threads, several at once where a client's calls overlap, so
// what they write to needs a lock or must be atomic; they must not be changed while it runs.
#ifndef ATELIER_TESTS_UNIT_CLIENT_FAKE_SERVER_H_
#define ATELIER_TESTS_UNIT_CLIENT_FAKE_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "atelier/v1/dataset_service.grpc.pb.h"
#include "atelier/v1/experiment_service.grpc.pb.h"
#include "atelier/v1/inference_service.grpc.pb.h"
#include "atelier/v1/model_service.grpc.pb.h"
#include "atelier/v1/training_service.grpc.pb.h"
#include "grpcpp/server.h"

namespace atelier::client {

class FakeServer {
 public:
  template <typename Request, typename Response>
  using Unary = std::function<grpc::Status(const Request&, Response*)>;
  template <typename Request, typename Response>
  using Streaming = std::function<grpc::Status(grpc::ServerContext*, const Request&,
                                               grpc::ServerWriter<Response>*)>;

  struct Handlers {
    Unary<v1::StartTrainingRequest, v1::TrainingJob> start_training;
    Unary<v1::GetJobRequest, v1::TrainingJob> get_job;
    Unary<v1::ListJobsRequest, v1::ListJobsResponse> list_jobs;
    Unary<v1::StopJobRequest, v1::TrainingJob> stop_job;
    Unary<v1::DeleteJobRequest, google::protobuf::Empty> delete_job;
    Unary<v1::GetConfusionMatrixRequest, v1::ConfusionMatrix> get_confusion_matrix;
    Streaming<v1::StreamMetricsRequest, v1::JobEvent> stream_metrics;
    Streaming<v1::StreamLogsRequest, v1::LogChunk> stream_logs;
    Unary<v1::GetExperimentRequest, v1::Experiment> get_experiment;
    Unary<v1::ListModelsRequest, v1::ListModelsResponse> list_models;
    Unary<v1::GetModelRequest, v1::Model> get_model;
    Unary<v1::SetAliasRequest, v1::Model> set_alias;
    Unary<v1::DeleteModelRequest, google::protobuf::Empty> delete_model;
    Streaming<v1::DownloadModelRequest, v1::DownloadChunk> download_model;
    Streaming<v1::DownloadTensorboardRequest, v1::DownloadChunk> download_tensorboard;
    Unary<v1::GetFiltersRequest, v1::Filters> get_filters;
    Unary<v1::GetFeatureMapsRequest, v1::FeatureMaps> get_feature_maps;
    Unary<v1::ExplainRequest, v1::Explanation> explain;
    Unary<v1::ListDatasetsRequest, v1::ListDatasetsResponse> list_datasets;
    Unary<v1::GetImagesRequest, v1::GetImagesResponse> get_images;
    Unary<v1::ClassifyRequest, v1::ClassifyResponse> classify;
  };

  FakeServer();
  ~FakeServer();

  Handlers handlers;

  void Start();
  // Breaks all connections.
  void Stop();

  // `unix:PATH`.
  std::string address() const { return "unix:" + folder_ + "/socket"; }
  // An empty folder at first, for the test's files.
  const std::string& folder() const { return folder_; }

 private:
  class Training;
  class Experiments;
  class Models;
  class Datasets;
  class Inference;

  std::string folder_;
  std::unique_ptr<Training> training_;
  std::unique_ptr<Experiments> experiments_;
  std::unique_ptr<Models> models_;
  std::unique_ptr<Datasets> datasets_;
  std::unique_ptr<Inference> inference_;
  std::unique_ptr<grpc::Server> server_;
};

// An error as the server makes it: with a BadRequest of these fields and descriptions, or an
// ErrorInfo.
grpc::Status BadRequest(const std::vector<std::pair<std::string, std::string>>& violations);
grpc::Status ErrorWithReason(grpc::StatusCode code, const std::string& reason,
                             const std::string& message);

}  // namespace atelier::client

#endif  // ATELIER_TESTS_UNIT_CLIENT_FAKE_SERVER_H_
