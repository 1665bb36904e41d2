// grpc.reflection.v1alpha.ServerReflection: which services there are, and what their messages look
// like. Our own, since gRPC's asks no caller who it is and takes a thread for each stream.
#ifndef ATELIER_SERVER_RPC_REFLECTION_SERVICE_H_
#define ATELIER_SERVER_RPC_REFLECTION_SERVICE_H_

#include <string>
#include <utility>
#include <vector>

#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"

namespace atelier::rpc {

// Thread-safe.
class ReflectionService final
    : public grpc::reflection::v1alpha::ServerReflection::CallbackService {
 public:
  using Request = grpc::reflection::v1alpha::ServerReflectionRequest;
  using Response = grpc::reflection::v1alpha::ServerReflectionResponse;

  // `services` are full names whose descriptors are linked in.
  explicit ReflectionService(std::vector<std::string> services) : services_(std::move(services)) {}

  grpc::ServerBidiReactor<Request, Response>* ServerReflectionInfo(
      grpc::CallbackServerContext* context) override;

  Response Answer(const Request& request) const;

 private:
  const std::vector<std::string> services_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_REFLECTION_SERVICE_H_
