#include "tests/unit/client/fake_server.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"
#include "gtest/gtest.h"

namespace atelier::client {
namespace {

template <typename Handler, typename... Arguments>
grpc::Status Answer(const Handler& handler, Arguments&&... arguments) {
  if (!handler) return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "not written down");
  return handler(std::forward<Arguments>(arguments)...);
}

grpc::Status WithDetail(grpc::StatusCode code, const std::string& message,
                        const google::protobuf::Message& detail) {
  google::rpc::Status status;
  status.set_code(static_cast<int>(code));
  status.set_message(message);
  status.add_details()->PackFrom(detail);
  return grpc::Status(code, message, status.SerializeAsString());
}

}  // namespace

class FakeServer::Training : public v1::TrainingService::Service {
 public:
  explicit Training(const Handlers* handlers) : handlers_(handlers) {}

  grpc::Status StartTraining(grpc::ServerContext*, const v1::StartTrainingRequest* request,
                             v1::TrainingJob* response) override {
    return Answer(handlers_->start_training, *request, response);
  }
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::TrainingJob* response) override {
    return Answer(handlers_->get_job, *request, response);
  }
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override {
    return Answer(handlers_->list_jobs, *request, response);
  }
  grpc::Status StopJob(grpc::ServerContext*, const v1::StopJobRequest* request,
                       v1::TrainingJob* response) override {
    return Answer(handlers_->stop_job, *request, response);
  }
  grpc::Status DeleteJob(grpc::ServerContext*, const v1::DeleteJobRequest* request,
                         google::protobuf::Empty* response) override {
    return Answer(handlers_->delete_job, *request, response);
  }
  grpc::Status GetConfusionMatrix(grpc::ServerContext*,
                                  const v1::GetConfusionMatrixRequest* request,
                                  v1::ConfusionMatrix* response) override {
    return Answer(handlers_->get_confusion_matrix, *request, response);
  }
  grpc::Status StreamMetrics(grpc::ServerContext* context, const v1::StreamMetricsRequest* request,
                             grpc::ServerWriter<v1::JobEvent>* writer) override {
    return Answer(handlers_->stream_metrics, context, *request, writer);
  }
  grpc::Status StreamLogs(grpc::ServerContext* context, const v1::StreamLogsRequest* request,
                          grpc::ServerWriter<v1::LogChunk>* writer) override {
    return Answer(handlers_->stream_logs, context, *request, writer);
  }
  grpc::Status DownloadTensorboard(grpc::ServerContext* context,
                                   const v1::DownloadTensorboardRequest* request,
                                   grpc::ServerWriter<v1::DownloadChunk>* writer) override {
    return Answer(handlers_->download_tensorboard, context, *request, writer);
  }

 private:
  const Handlers* const handlers_;
};

class FakeServer::Experiments : public v1::ExperimentService::Service {
 public:
  explicit Experiments(const Handlers* handlers) : handlers_(handlers) {}

  grpc::Status GetExperiment(grpc::ServerContext*, const v1::GetExperimentRequest* request,
                             v1::Experiment* response) override {
    return Answer(handlers_->get_experiment, *request, response);
  }

 private:
  const Handlers* const handlers_;
};

class FakeServer::Models : public v1::ModelService::Service {
 public:
  explicit Models(const Handlers* handlers) : handlers_(handlers) {}

  grpc::Status ListModels(grpc::ServerContext*, const v1::ListModelsRequest* request,
                          v1::ListModelsResponse* response) override {
    return Answer(handlers_->list_models, *request, response);
  }
  grpc::Status GetModel(grpc::ServerContext*, const v1::GetModelRequest* request,
                        v1::Model* response) override {
    return Answer(handlers_->get_model, *request, response);
  }
  grpc::Status SetAlias(grpc::ServerContext*, const v1::SetAliasRequest* request,
                        v1::Model* response) override {
    return Answer(handlers_->set_alias, *request, response);
  }
  grpc::Status DeleteModel(grpc::ServerContext*, const v1::DeleteModelRequest* request,
                           google::protobuf::Empty* response) override {
    return Answer(handlers_->delete_model, *request, response);
  }
  grpc::Status DownloadModel(grpc::ServerContext* context, const v1::DownloadModelRequest* request,
                             grpc::ServerWriter<v1::DownloadChunk>* writer) override {
    return Answer(handlers_->download_model, context, *request, writer);
  }
  grpc::Status GetFilters(grpc::ServerContext*, const v1::GetFiltersRequest* request,
                          v1::Filters* response) override {
    return Answer(handlers_->get_filters, *request, response);
  }
  grpc::Status GetFeatureMaps(grpc::ServerContext*, const v1::GetFeatureMapsRequest* request,
                              v1::FeatureMaps* response) override {
    return Answer(handlers_->get_feature_maps, *request, response);
  }
  grpc::Status Explain(grpc::ServerContext*, const v1::ExplainRequest* request,
                       v1::Explanation* response) override {
    return Answer(handlers_->explain, *request, response);
  }

 private:
  const Handlers* const handlers_;
};

class FakeServer::Datasets : public v1::DatasetService::Service {
 public:
  explicit Datasets(const Handlers* handlers) : handlers_(handlers) {}

  grpc::Status ListDatasets(grpc::ServerContext*, const v1::ListDatasetsRequest* request,
                            v1::ListDatasetsResponse* response) override {
    return Answer(handlers_->list_datasets, *request, response);
  }
  grpc::Status GetImages(grpc::ServerContext*, const v1::GetImagesRequest* request,
                         v1::GetImagesResponse* response) override {
    return Answer(handlers_->get_images, *request, response);
  }

 private:
  const Handlers* const handlers_;
};

class FakeServer::Inference : public v1::InferenceService::Service {
 public:
  explicit Inference(const Handlers* handlers) : handlers_(handlers) {}

  grpc::Status Classify(grpc::ServerContext*, const v1::ClassifyRequest* request,
                        v1::ClassifyResponse* response) override {
    return Answer(handlers_->classify, *request, response);
  }

 private:
  const Handlers* const handlers_;
};

FakeServer::FakeServer()
    : training_(std::make_unique<Training>(&handlers)),
      experiments_(std::make_unique<Experiments>(&handlers)),
      models_(std::make_unique<Models>(&handlers)),
      datasets_(std::make_unique<Datasets>(&handlers)),
      inference_(std::make_unique<Inference>(&handlers)) {
  std::string name = (std::filesystem::temp_directory_path() / "atelier-client-XXXXXX").string();
  folder_ = mkdtemp(name.data());
}

FakeServer::~FakeServer() {
  Stop();
  std::filesystem::remove_all(folder_);
}

void FakeServer::Start() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
  builder.RegisterService(training_.get());
  builder.RegisterService(experiments_.get());
  builder.RegisterService(models_.get());
  builder.RegisterService(datasets_.get());
  builder.RegisterService(inference_.get());
  server_ = builder.BuildAndStart();
  ASSERT_NE(server_, nullptr);
}

void FakeServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_.reset();
}

grpc::Status BadRequest(const std::vector<std::pair<std::string, std::string>>& violations) {
  google::rpc::BadRequest detail;
  for (const auto& [field, description] : violations) {
    auto* const violation = detail.add_field_violations();
    violation->set_field(field);
    violation->set_description(description);
  }
  return WithDetail(grpc::StatusCode::INVALID_ARGUMENT, "Fields are wrong.", detail);
}

grpc::Status ErrorWithReason(grpc::StatusCode code, const std::string& reason,
                             const std::string& message) {
  google::rpc::ErrorInfo detail;
  detail.set_reason(reason);
  detail.set_domain("atelier");
  return WithDetail(code, message, detail);
}

}  // namespace atelier::client
