#include "server/metrics/call_metrics.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "absl/base/call_once.h"

namespace atelier::metrics {
namespace {

const prometheus::Histogram::BucketBoundaries kHandlingBuckets = {0.001, 0.005, 0.025, 0.1,
                                                                  0.5,   2.5,   10};
constexpr std::size_t kCodes = 17;  // OK to UNAUTHENTICATED.

const char* TypeWord(rpc::CallType type) {
  switch (type) {
    case rpc::CallType::kUnary:
      return "unary";
    case rpc::CallType::kClientStream:
      return "client_stream";
    case rpc::CallType::kServerStream:
      return "server_stream";
    case rpc::CallType::kBidiStream:
      return "bidi_stream";
  }
  return "unary";
}

}  // namespace

class CallMetrics::Method final : public rpc::MethodObserver {
 public:
  Method(CallMetrics* metrics, prometheus::Labels labels)
      : metrics_(metrics), labels_(std::move(labels)) {}

  void Begun() override {
    absl::call_once(begun_, [this] {
      started_ = &metrics_->started_.Add(labels_);
      handling_ = &metrics_->handling_.Add(labels_, kHandlingBuckets);
    });
    started_->Increment();
  }

  void Ended(absl::StatusCode code, absl::Duration duration) override {
    // Whatever is no code of gRPC's reads as UNKNOWN, as in gRPC.
    auto index = static_cast<std::size_t>(code);
    if (index >= kCodes) index = static_cast<std::size_t>(absl::StatusCode::kUnknown);
    Code& counted = codes_[index];
    absl::call_once(counted.seen, [&] {
      prometheus::Labels labels = labels_;
      labels["grpc_code"] = absl::StatusCodeToString(static_cast<absl::StatusCode>(index));
      counted.handled = &metrics_->handled_.Add(labels);
    });
    counted.handled->Increment();
    handling_->Observe(absl::ToDoubleSeconds(std::max(duration, absl::ZeroDuration())));
  }

 private:
  struct Code {
    absl::once_flag seen;
    prometheus::Counter* handled = nullptr;
  };

  CallMetrics* const metrics_;
  const prometheus::Labels labels_;
  absl::once_flag begun_;
  prometheus::Counter* started_ = nullptr;
  prometheus::Histogram* handling_ = nullptr;
  std::array<Code, kCodes> codes_;
};

CallMetrics::CallMetrics(prometheus::Registry* registry)
    : started_(prometheus::BuildCounter()
                   .Name("grpc_server_started_total")
                   .Help("Calls begun.")
                   .Register(*registry)),
      handled_(prometheus::BuildCounter()
                   .Name("grpc_server_handled_total")
                   .Help("Calls ended.")
                   .Register(*registry)),
      handling_(prometheus::BuildHistogram()
                    .Name("grpc_server_handling_seconds")
                    .Help("From a call's begin to its end.")
                    .Register(*registry)) {}

CallMetrics::~CallMetrics() = default;

rpc::MethodObserver* CallMetrics::Observe(const std::string& service, const std::string& method,
                                          rpc::CallType type) {
  absl::MutexLock lock(&mutex_);
  methods_.push_back(std::make_unique<Method>(
      this,
      prometheus::Labels{
          {"grpc_type", TypeWord(type)}, {"grpc_service", service}, {"grpc_method", method}}));
  return methods_.back().get();
}

}  // namespace atelier::metrics
