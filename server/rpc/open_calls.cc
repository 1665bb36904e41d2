#include "server/rpc/open_calls.h"

#include <utility>

#include "grpcpp/server_context.h"
#include "grpcpp/support/interceptor.h"

namespace atelier::rpc {
namespace {

// gRPC asks it for each call, as soon as that has come.
class Arrivals final : public grpc::ContextAllocator {
 public:
  explicit Arrivals(OpenCalls* calls) : calls_(calls) {}

  // Null leaves making one to gRPC.
  grpc::CallbackServerContext* NewCallbackServerContext() override {
    calls_->Come();
    return nullptr;
  }
  grpc::GenericCallbackServerContext* NewGenericCallbackServerContext() override {
    calls_->Come();
    return nullptr;
  }

 private:
  OpenCalls* const calls_;
};

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

void OpenCalls::Come() {
  const int waiting = waiting_.fetch_add(1, std::memory_order_relaxed) + 1;
  const int half = options_.most_waiting / 2;
  if (waiting % half != 0) return;
  if (waiting == half) return connections_->Mark();
  for (const std::string& peer : connections_->BreakBusiest()) Tell(peer);
}

void OpenCalls::Begin(const std::string& peer) {
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  {
    absl::MutexLock lock(&mutex_);
    if (++calls_[peer] != options_.most + 1) return;
  }
  if (connections_->Break(peer)) Tell(peer);
}

void OpenCalls::Tell(const std::string& peer) const {
  if (options_.broken != nullptr) options_.broken(peer);
}

void OpenCalls::End(const std::string& peer) {
  absl::MutexLock lock(&mutex_);
  const auto found = calls_.find(peer);
  if (--found->second == 0) calls_.erase(found);
}

void CountComing(OpenCalls* calls, grpc::ServerBuilder* builder) {
  builder->SetContextAllocator(std::make_unique<Arrivals>(calls));
}

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> LimitCalls(
    OpenCalls* calls) {
  return std::make_unique<OpenCallFactory>(calls);
}

}  // namespace atelier::rpc
