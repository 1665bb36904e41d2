// atelier.v1.TrainingService over the job controller.
#ifndef ATELIER_SERVER_RPC_TRAINING_SERVICE_H_
#define ATELIER_SERVER_RPC_TRAINING_SERVICE_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "atelier/v1/training_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/event_log.h"
#include "server/jobs/job_controller.h"
#include "server/rpc/download_source.h"
#include "server/rpc/stream_set.h"

namespace atelier::rpc {

// Thread-safe.
class TrainingService final : public v1::TrainingService::CallbackService {
 public:
  // All must outlive the service.
  struct Dependencies {
    jobs::JobController* controller;
    jobs::EventLog* events;
    jobs::ArtifactStore* artifacts;
    TaskQueue* tasks;
    StreamSet* streams;
    // Answers with a job's TensorBoard event file as it is now; NOT_FOUND (JOB_NOT_FOUND). May wait
    // for the disk.
    std::function<absl::StatusOr<GrowingFile>(const std::string& job)> tensorboard = {};
    // Answers ListPresets. May wait for the disk.
    std::function<absl::StatusOr<v1::ListPresetsResponse>(const v1::ListPresetsRequest& request)>
        list_presets = {};
    // Answers DescribeNetwork. May wait for the disk.
    std::function<absl::StatusOr<v1::NetworkDescription>(const v1::DescribeNetworkRequest& request)>
        describe_network = {};
  };

  explicit TrainingService(Dependencies dependencies) : with_(std::move(dependencies)) {}

  grpc::ServerUnaryReactor* StartTraining(grpc::CallbackServerContext* context,
                                          const v1::StartTrainingRequest* request,
                                          v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context,
                                   const v1::GetJobRequest* request,
                                   v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* StopJob(grpc::CallbackServerContext* context,
                                    const v1::StopJobRequest* request,
                                    v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* DeleteJob(grpc::CallbackServerContext* context,
                                      const v1::DeleteJobRequest* request,
                                      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* GetConfusionMatrix(grpc::CallbackServerContext* context,
                                               const v1::GetConfusionMatrixRequest* request,
                                               v1::ConfusionMatrix* response) override;
  grpc::ServerUnaryReactor* GetPredictions(grpc::CallbackServerContext* context,
                                           const v1::GetPredictionsRequest* request,
                                           v1::GetPredictionsResponse* response) override;
  grpc::ServerWriteReactor<v1::JobEvent>* StreamMetrics(
      grpc::CallbackServerContext* context, const v1::StreamMetricsRequest* request) override;
  grpc::ServerWriteReactor<v1::LogChunk>* StreamLogs(grpc::CallbackServerContext* context,
                                                     const v1::StreamLogsRequest* request) override;
  grpc::ServerWriteReactor<v1::DownloadChunk>* DownloadTensorboard(
      grpc::CallbackServerContext* context, const v1::DownloadTensorboardRequest* request) override;
  grpc::ServerUnaryReactor* ListPresets(grpc::CallbackServerContext* context,
                                        const v1::ListPresetsRequest* request,
                                        v1::ListPresetsResponse* response) override;
  grpc::ServerUnaryReactor* DescribeNetwork(grpc::CallbackServerContext* context,
                                            const v1::DescribeNetworkRequest* request,
                                            v1::NetworkDescription* response) override;
  grpc::ServerUnaryReactor* ListRecipes(grpc::CallbackServerContext* context,
                                        const v1::ListRecipesRequest* request,
                                        v1::ListRecipesResponse* response) override;

 private:
  const Dependencies with_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_TRAINING_SERVICE_H_
