// Answers calls of methods that a server does not have, all in the same words.
#ifndef ATELIER_SERVER_RPC_OTHER_METHODS_H_
#define ATELIER_SERVER_RPC_OTHER_METHODS_H_

#include "absl/status/status.h"
#include "grpcpp/generic/async_generic_service.h"
#include "server/rpc/status.h"

namespace atelier::rpc {

// Thread-safe.
class OtherMethods final : public grpc::CallbackGenericService {
 public:
  explicit OtherMethods(const absl::Status& answer) : answer_(ToGrpcStatus(answer)) {}

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* /*context*/) override {
    return new Refusal(answer_);
  }

 private:
  class Refusal final : public grpc::ServerGenericBidiReactor {
   public:
    explicit Refusal(const grpc::Status& answer) { Finish(answer); }
    void OnDone() override { delete this; }
  };

  const grpc::Status answer_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_OTHER_METHODS_H_
