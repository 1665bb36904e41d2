// One ModelInfer, on its own or in a stream: from the request to the answer or what was wrong.
#ifndef ATELIER_SERVER_RPC_INFER_CALL_H_
#define ATELIER_SERVER_RPC_INFER_CALL_H_

#include <functional>

#include "absl/status/statusor.h"
#include "grpcpp/support/server_callback.h"
#include "inference/grpc_service.pb.h"
#include "server/rpc/call_memory.h"
#include "server/serving/classifier.h"

namespace atelier::rpc {

// Calls `done` once with OK, `response` being filled in, or why it is not; at once or on a thread
// of the classifier's, but never waits itself. Context, request and response must stay until then.
void Infer(serving::Classifier* classifier, const grpc::CallbackServerContext& context,
           const inference::ModelInferRequest& request, inference::ModelInferResponse* response,
           std::function<void(const absl::Status&)> done);

// The same for every request of a stream, several at a time, answered as they come. Reads on only
// while few requests are without a written answer; those that do not fit into `memory`, which may
// be null, are answered with that.
grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
StartInferStream(serving::Classifier* classifier, CallMemory* memory,
                 grpc::CallbackServerContext* context);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_INFER_CALL_H_
