#include "server/rpc/replica_model_service.h"

#include "server/rpc/model_requests.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {
grpc::ServerUnaryReactor* ReplicaModelService::ListModels(grpc::CallbackServerContext* context,
                                                          const v1::ListModelsRequest* request,
                                                          v1::ListModelsResponse* response) {
  return RunUnary(context, tasks_, response,
                  [this, request]() -> absl::StatusOr<v1::ListModelsResponse> {
                    const auto page = ModelsPageSize(*request);
                    if (!page.ok()) return page.status();
                    return mirror_->ListModels(*page, request->page_token());
                  });
}

grpc::ServerUnaryReactor* ReplicaModelService::GetModel(grpc::CallbackServerContext* context,
                                                        const v1::GetModelRequest* request,
                                                        v1::Model* response) {
  return RunUnary(context, tasks_, response, [this, request]() -> absl::StatusOr<v1::Model> {
    const auto model = ParseModelAlone(request->name());
    if (!model.ok()) return model.status();
    const auto page = VersionsPageSize(*request);
    if (!page.ok()) return page.status();
    return mirror_->GetModel(*model, *page, request->page_token());
  });
}

}  // namespace atelier::rpc
