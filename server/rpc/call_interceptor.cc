#include "server/rpc/call_interceptor.h"

#include <chrono>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/support/interceptor.h"

namespace atelier::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

CallType TypeOf(const google::protobuf::MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? CallType::kBidiStream : CallType::kClientStream;
  }
  return method.server_streaming() ? CallType::kServerStream : CallType::kUnary;
}

// Lives as long as its call.
class CallInterceptor final : public grpc::experimental::Interceptor {
 public:
  explicit CallInterceptor(MethodObserver* method)
      : method_(method), begin_(std::chrono::steady_clock::now()) {
    method_->Begun();
  }

  // A call that is gone before its handler gave it a status was cancelled.
  ~CallInterceptor() override {
    method_->Ended(code_, absl::FromChrono(std::chrono::steady_clock::now() - begin_));
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      code_ = static_cast<absl::StatusCode>(methods->GetSendStatus().error_code());
    }
    methods->Proceed();
  }

 private:
  MethodObserver* const method_;
  const std::chrono::steady_clock::time_point begin_;
  absl::StatusCode code_ = absl::StatusCode::kCancelled;
};

class CallInterceptorFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  CallInterceptorFactory(CallObserver* observer, const std::vector<std::string>& services) {
    const auto* pool = google::protobuf::DescriptorPool::generated_pool();
    for (const std::string& name : services) {
      const auto* service = pool->FindServiceByName(name);
      if (service == nullptr) continue;
      for (int i = 0; i < service->method_count(); ++i) {
        const auto& method = *service->method(i);
        methods_[absl::StrCat("/", name, "/", method.name())] =
            observer->Observe(name, method.name(), TypeOf(method));
      }
    }
  }

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    const auto method = methods_.find(info->method());
    return method == methods_.end() ? nullptr : new CallInterceptor(method->second);
  }

 private:
  absl::flat_hash_map<std::string, MethodObserver*> methods_;  // By path.
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> InterceptCalls(
    CallObserver* observer, const std::vector<std::string>& services) {
  return std::make_unique<CallInterceptorFactory>(observer, services);
}

}  // namespace atelier::rpc
