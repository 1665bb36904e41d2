// gRPC's calls, under the names that the Go and Java interceptors made standard.
#ifndef ATELIER_SERVER_METRICS_CALL_METRICS_H_
#define ATELIER_SERVER_METRICS_CALL_METRICS_H_

#include <deque>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/rpc/call_observer.h"

namespace atelier::metrics {

// Thread-safe. A method's series begin with its first call, so that the page shows what is used.
class CallMetrics final : public rpc::CallObserver {
 public:
  // `registry` must outlive it.
  explicit CallMetrics(prometheus::Registry* registry);
  ~CallMetrics() override;

  rpc::MethodObserver* Observe(const std::string& service, const std::string& method,
                               rpc::CallType type) override;

 private:
  class Method;

  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Histogram>& handling_;

  absl::Mutex mutex_;
  std::deque<std::unique_ptr<Method>> methods_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_CALL_METRICS_H_
