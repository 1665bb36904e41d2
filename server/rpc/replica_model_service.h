// atelier.v1.ModelService of a serving replica: what the registry that it follows says. All else is
// for the server that has the registry.
#ifndef ATELIER_SERVER_RPC_REPLICA_MODEL_SERVICE_H_
#define ATELIER_SERVER_RPC_REPLICA_MODEL_SERVICE_H_

#include "atelier/v1/model_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/registry/registry_mirror.h"

namespace atelier::rpc {

// What a replica cannot do is left to the server's OtherMethods.
using ReplicaModelMethods = v1::ModelService::WithCallbackMethod_ListModels<
    v1::ModelService::WithCallbackMethod_GetModel<v1::ModelService::WithGenericMethod_SetAlias<
        v1::ModelService::WithGenericMethod_DeleteModel<
            v1::ModelService::WithGenericMethod_DownloadModel<
                v1::ModelService::WithGenericMethod_GetFilters<
                    v1::ModelService::WithGenericMethod_GetFeatureMaps<
                        v1::ModelService::WithGenericMethod_Explain<
                            v1::ModelService::WithGenericMethod_EvaluateModel<
                                v1::ModelService::Service>>>>>>>>>;

// Thread-safe.
class ReplicaModelService final : public ReplicaModelMethods {
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

 private:
  registry::RegistryMirror* const mirror_;
  TaskQueue* const tasks_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_REPLICA_MODEL_SERVICE_H_
