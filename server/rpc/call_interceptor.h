// Watches every call of a gRPC server from its begin to its end, whichever API its service uses.
#ifndef ATELIER_SERVER_RPC_CALL_INTERCEPTOR_H_
#define ATELIER_SERVER_RPC_CALL_INTERCEPTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "grpcpp/support/server_interceptor.h"
#include "server/rpc/call_observer.h"

namespace atelier::rpc {

// For grpc::ServerBuilder. `services` are full names whose descriptors are linked in.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> InterceptCalls(
    CallObserver* observer, const std::vector<std::string>& services);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CALL_INTERCEPTOR_H_
