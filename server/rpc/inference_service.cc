#include "server/rpc/inference_service.h"

#include <utility>

#include "server/rpc/conversions.h"
#include "server/rpc/status.h"

namespace atelier::rpc {

grpc::ServerUnaryReactor* InferenceService::Classify(grpc::CallbackServerContext* context,
                                                     const v1::ClassifyRequest* request,
                                                     v1::ClassifyResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto converted = FromProto(*request);
  if (!converted.ok()) {
    reactor->Finish(ToGrpcStatus(converted.status()));
    return reactor;
  }
  converted->cancelled = [context] { return context->IsCancelled(); };
  classifier_->Classify(*std::move(converted),
                        [reactor, response](absl::StatusOr<serving::ClassifyResult> result) {
                          if (!result.ok()) {
                            return reactor->Finish(ToGrpcStatus(WithDetail(result.status())));
                          }
                          *response = ToProto(*result);
                          reactor->Finish(grpc::Status::OK);
                        });
  return reactor;
}

}  // namespace atelier::rpc
