#include "server/rpc/inference_service.h"

#include <chrono>
#include <utility>

#include "server/rpc/conversions.h"
#include "server/rpc/status.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {

serving::SteadyTime SteadyDeadline(const grpc::CallbackServerContext& context) {
  const auto now = std::chrono::system_clock::now();
  // Further away it means the same as none, and sums might not fit.
  if (context.deadline() > now + std::chrono::hours(24)) return serving::SteadyTime::max();
  return std::chrono::steady_clock::now() + (context.deadline() - now);
}

grpc::ServerUnaryReactor* InferenceService::Classify(grpc::CallbackServerContext* context,
                                                     const v1::ClassifyRequest* request,
                                                     v1::ClassifyResponse* response) {
  return BeginUnary(context, [&](grpc::ServerUnaryReactor* reactor) {
    auto converted = FromProto(*request);
    if (!converted.ok()) return reactor->Finish(ToGrpcStatus(converted.status()));
    converted->cancelled = [context] { return context->IsCancelled(); };
    converted->deadline = SteadyDeadline(*context);
    classifier_->Classify(
        *std::move(converted),
        [this, context, reactor, response](absl::StatusOr<serving::ClassifyResult> result) {
          if (connections_ != nullptr) connections_->Cork(*context);
          if (!result.ok()) {
            return reactor->Finish(ToGrpcStatus(WithDetail(result.status())));
          }
          *response = ToProto(*result);
          reactor->Finish(grpc::Status::OK);
        });
  });
}

}  // namespace atelier::rpc
