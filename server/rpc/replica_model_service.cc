#include "server/rpc/replica_model_service.h"

#include "server/rpc/model_requests.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {
namespace {

grpc::ServerUnaryReactor* Refuse(grpc::CallbackServerContext* context) {
  return BeginUnary(context, [](grpc::ServerUnaryReactor* reactor) {
    reactor->Finish(ToGrpcStatus(OnlyReplica()));
  });
}

class RefusedDownload final : public grpc::ServerWriteReactor<v1::DownloadChunk> {
 public:
  RefusedDownload() { Finish(ToGrpcStatus(OnlyReplica())); }
  void OnDone() override { delete this; }
};

}  // namespace

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

grpc::ServerUnaryReactor* ReplicaModelService::SetAlias(grpc::CallbackServerContext* context,
                                                        const v1::SetAliasRequest* /*request*/,
                                                        v1::Model* /*response*/) {
  return Refuse(context);
}

grpc::ServerUnaryReactor* ReplicaModelService::DeleteModel(
    grpc::CallbackServerContext* context, const v1::DeleteModelRequest* /*request*/,
    google::protobuf::Empty* /*response*/) {
  return Refuse(context);
}

grpc::ServerWriteReactor<v1::DownloadChunk>* ReplicaModelService::DownloadModel(
    grpc::CallbackServerContext* /*context*/, const v1::DownloadModelRequest* /*request*/) {
  return new RefusedDownload;
}

grpc::ServerUnaryReactor* ReplicaModelService::GetFilters(grpc::CallbackServerContext* context,
                                                          const v1::GetFiltersRequest* /*request*/,
                                                          v1::Filters* /*response*/) {
  return Refuse(context);
}

grpc::ServerUnaryReactor* ReplicaModelService::GetFeatureMaps(
    grpc::CallbackServerContext* context, const v1::GetFeatureMapsRequest* /*request*/,
    v1::FeatureMaps* /*response*/) {
  return Refuse(context);
}

grpc::ServerUnaryReactor* ReplicaModelService::Explain(grpc::CallbackServerContext* context,
                                                       const v1::ExplainRequest* /*request*/,
                                                       v1::Explanation* /*response*/) {
  return Refuse(context);
}

grpc::ServerUnaryReactor* ReplicaModelService::EvaluateModel(
    grpc::CallbackServerContext* context, const v1::EvaluateModelRequest* /*request*/,
    v1::TrainingJob* /*response*/) {
  return Refuse(context);
}

}  // namespace atelier::rpc
