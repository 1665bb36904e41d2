// Keeps the messages of a gRPC server's calls within a CallMemory: requests from their arrival,
// answers of unary calls until they are written. Streams count what they send and read themselves.
#ifndef ATELIER_SERVER_RPC_MEMORY_INTERCEPTOR_H_
#define ATELIER_SERVER_RPC_MEMORY_INTERCEPTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/rpc/call_memory.h"

namespace atelier::rpc {

// For grpc::ServerBuilder. `services` are full names of services whose generated code is linked in
// and serves them. An answer for which there is no room becomes RESOURCE_EXHAUSTED
// (TOO_MUCH_HELD).
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> LimitMemory(
    CallMemory* memory, const std::vector<std::string>& services);

// OK, or why the call's request was not taken in: it is empty then, and must not be looked at.
// Every handler whose request may be large asks first.
absl::Status CheckTaken(const grpc::ServerContextBase& context);

// Frees what a message holds, which Clear would keep.
void FreeContents(google::protobuf::Message* message);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_MEMORY_INTERCEPTOR_H_
