// atelier.v1.ModelService of a serving replica: what the registry that it follows says. All else is
// for the server that has the registry.
#ifndef ATELIER_SERVER_RPC_REPLICA_MODEL_SERVICE_H_
#define ATELIER_SERVER_RPC_REPLICA_MODEL_SERVICE_H_

#include "atelier/v1/model_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/registry/registry_mirror.h"

namespace atelier::rpc {

// Thread-safe.
class ReplicaModelService final : public v1::ModelService::CallbackService {
 public:
  // Both must outlive the service.
  ReplicaModelService(registry::RegistryMirror* mirror, TaskQueue* tasks)
      : mirror_(mirror), tasks_(tasks) {}

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
  registry::RegistryMirror* const mirror_;
  TaskQueue* const tasks_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_REPLICA_MODEL_SERVICE_H_
