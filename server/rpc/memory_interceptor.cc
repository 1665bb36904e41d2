#include "server/rpc/memory_interceptor.h"

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/support/interceptor.h"
#include "server/jobs/error.h"
#include "server/rpc/status.h"

namespace atelier::rpc {
namespace {

using google::protobuf::Message;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

// Among a call's metadata: why its request was not taken in. Handlers see nothing else of an
// interceptor; a client that sends it is refused with its own words.
constexpr char kNotTaken[] = "atelier-not-taken";

// Calls of the process whose request was not taken in: gRPC makes a map of a call's metadata when
// it is first asked for, which takes as long as much else of a small call.
std::atomic<int> not_taken = 0;

// Lives as long as its call.
class MemoryInterceptor final : public grpc::experimental::Interceptor {
 public:
  MemoryInterceptor(CallMemory* memory, grpc::ServerContextBase* context, bool unary)
      : unary_(unary), share_(memory, context) {}
  ~MemoryInterceptor() override {
    if (!why_not_.empty()) --not_taken;
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE)) {
      TakeRequest(methods);
    }
    if (unary_ && methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      TakeAnswer(methods);
    }
    methods->Proceed();
  }

 private:
  void TakeRequest(InterceptorBatchMethods* methods) {
    request_ = static_cast<Message*>(methods->GetRecvMessage());
    if (request_ == nullptr) return;
    const absl::Status status = share_.Hold(static_cast<std::int64_t>(request_->SpaceUsedLong()));
    if (status.ok()) return;
    FreeContents(request_);
    why_not_ = std::string(status.message());
    ++not_taken;
    methods->GetRecvInitialMetadata()->emplace(kNotTaken, why_not_);
  }

  // With the handler's answer the request has done its part. An answer is held twice, as a message
  // and as the bytes that are sent, until all of it is written.
  void TakeAnswer(InterceptorBatchMethods* methods) {
    if (request_ != nullptr && share_.holds()) FreeContents(request_);
    const auto* answer =
        methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)
            ? static_cast<const Message*>(methods->GetSendMessage())
            : nullptr;
    const std::size_t bytes = answer == nullptr ? 0 : 2 * answer->SpaceUsedLong();
    share_.Hold(0).IgnoreError();
    const absl::Status status = share_.Hold(static_cast<std::int64_t>(bytes));
    if (status.ok()) return;
    methods->ModifySendStatus(ToGrpcStatus(status));
    // The handler is done with its answer; gRPC would keep it as long as the call.
    FreeContents(const_cast<Message*>(answer));
  }

  const bool unary_;
  CallMemory::Share share_;
  Message* request_ = nullptr;
  std::string why_not_;
};

class MemoryInterceptorFactory final
    : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  MemoryInterceptorFactory(CallMemory* memory, const std::vector<std::string>& services)
      : memory_(memory) {
    const auto* pool = google::protobuf::DescriptorPool::generated_pool();
    for (const std::string& name : services) {
      const auto* service = pool->FindServiceByName(name);
      if (service == nullptr) continue;
      for (int i = 0; i < service->method_count(); ++i) {
        paths_.insert(absl::StrCat("/", name, "/", service->method(i)->name()));
      }
    }
  }

  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    using Type = grpc::experimental::ServerRpcInfo::Type;
    const bool reads_one = info->type() == Type::UNARY || info->type() == Type::SERVER_STREAMING;
    if (!reads_one || !paths_.contains(info->method())) return nullptr;
    return new MemoryInterceptor(memory_, info->server_context(), info->type() == Type::UNARY);
  }

 private:
  CallMemory* const memory_;
  absl::flat_hash_set<std::string> paths_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> LimitMemory(
    CallMemory* memory, const std::vector<std::string>& services) {
  return std::make_unique<MemoryInterceptorFactory>(memory, services);
}

absl::Status CheckTaken(const grpc::ServerContextBase& context) {
  if (not_taken == 0) return absl::OkStatus();
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(kNotTaken);
  if (found == metadata.end()) return absl::OkStatus();
  return jobs::Error(absl::StatusCode::kResourceExhausted, "TOO_MUCH_HELD",
                     absl::string_view(found->second.data(), found->second.size()));
}

void FreeContents(Message* message) {
  const std::unique_ptr<Message> empty(message->New());
  message->GetReflection()->Swap(message, empty.get());
}

}  // namespace atelier::rpc
