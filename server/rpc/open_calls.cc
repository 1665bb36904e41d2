#include "server/rpc/open_calls.h"

#include <utility>

#include "grpcpp/server_context.h"
#include "grpcpp/support/interceptor.h"

namespace atelier::rpc {
namespace {

// Lives as long as its call.
class OpenCall final : public grpc::experimental::Interceptor {
 public:
  OpenCall(OpenCalls* calls, std::string peer) : calls_(calls), peer_(std::move(peer)) {
    calls_->Begin(peer_);
  }
  ~OpenCall() override { calls_->End(peer_); }

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    methods->Proceed();
  }

 private:
  OpenCalls* const calls_;
  const std::string peer_;
};

class OpenCallFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit OpenCallFactory(OpenCalls* calls) : calls_(calls) {}

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return new OpenCall(calls_, info->server_context()->peer());
  }

 private:
  OpenCalls* const calls_;
};

}  // namespace

void OpenCalls::Begin(const std::string& peer) {
  {
    absl::MutexLock lock(&mutex_);
    if (++calls_[peer] != most_ + 1) return;
  }
  if (connections_->Break(peer) && broken_ != nullptr) broken_(peer);
}

void OpenCalls::End(const std::string& peer) {
  absl::MutexLock lock(&mutex_);
  const auto found = calls_.find(peer);
  if (--found->second == 0) calls_.erase(found);
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> LimitCalls(
    OpenCalls* calls) {
  return std::make_unique<OpenCallFactory>(calls);
}

}  // namespace atelier::rpc
