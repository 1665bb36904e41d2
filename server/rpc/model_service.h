// atelier.v1.ModelService over the model registry.
#ifndef ATELIER_SERVER_RPC_MODEL_SERVICE_H_
#define ATELIER_SERVER_RPC_MODEL_SERVICE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "atelier/v1/model_service.grpc.pb.h"
#include "server/access/caller.h"
#include "server/base/task_queue.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/model_store.h"
#include "server/rpc/archive_entries.h"
#include "server/rpc/stream_set.h"
#include "server/views/model_viewer.h"

namespace atelier::rpc {

// Thread-safe.
class ModelService final : public v1::ModelService::CallbackService {
 public:
  // All must outlive the service.
  struct Dependencies {
    jobs::ModelStore* models;
    jobs::ArtifactStore* artifacts;
    jobs::JobController* controller;
    TaskQueue* tasks;
    StreamSet* streams;
    views::ModelViewer* viewer;
    // Where pictures are made, which takes longer than other calls.
    TaskQueue* picture_tasks;
    // Where aliases are set and models deleted, which waits for versions to be loaded.
    TaskQueue* loading_tasks;
    // Told of each version that was deleted, so that it leaves memory. May be empty.
    std::function<void(const std::string& model, std::int64_t version)> on_deleted;
    // Loads a version before an alias names it; an error keeps the alias as it was. May be empty.
    std::function<absl::Status(const std::string& model, std::int64_t version)> prepare;
    // Told that a model's aliases changed; classification follows when it returns. May be empty.
    std::function<void(const std::string& model)> on_changed;
    // Told one sentence about each failure that changes no answer. May be empty.
    std::function<void(const std::string& sentence)> log;
  };

  explicit ModelService(Dependencies dependencies) : with_(std::move(dependencies)) {}

  grpc::ServerUnaryReactor* ListModels(grpc::CallbackServerContext* context,
                                       const v1::ListModelsRequest* request,
                                       v1::ListModelsResponse* response) override;
  grpc::ServerUnaryReactor* GetModel(grpc::CallbackServerContext* context,
                                     const v1::GetModelRequest* request,
                                     v1::Model* response) override;
  grpc::ServerUnaryReactor* SetAlias(grpc::CallbackServerContext* context,
                                     const v1::SetAliasRequest* request,
                                     v1::Model* response) override;
  grpc::ServerUnaryReactor* DeleteModel(grpc::CallbackServerContext* context,
                                        const v1::DeleteModelRequest* request,
                                        google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<v1::DownloadChunk>* DownloadModel(
      grpc::CallbackServerContext* context, const v1::DownloadModelRequest* request) override;
  grpc::ServerUnaryReactor* GetFilters(grpc::CallbackServerContext* context,
                                       const v1::GetFiltersRequest* request,
                                       v1::Filters* response) override;
  grpc::ServerUnaryReactor* GetFeatureMaps(grpc::CallbackServerContext* context,
                                           const v1::GetFeatureMapsRequest* request,
                                           v1::FeatureMaps* response) override;
  grpc::ServerUnaryReactor* Explain(grpc::CallbackServerContext* context,
                                    const v1::ExplainRequest* request,
                                    v1::Explanation* response) override;
  grpc::ServerUnaryReactor* EvaluateModel(grpc::CallbackServerContext* context,
                                          const v1::EvaluateModelRequest* request,
                                          v1::TrainingJob* response) override;

 private:
  absl::StatusOr<v1::Model> ChangeAlias(const std::string& model,
                                        const v1::SetAliasRequest& request,
                                        const std::string& caller);
  absl::Status Delete(const access::Caller& caller, const v1::DeleteModelRequest& request);

  const Dependencies with_;
  ArchiveEntries entries_;  // Of downloads that go on.
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_MODEL_SERVICE_H_
