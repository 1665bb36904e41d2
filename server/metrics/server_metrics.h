// Everything the server counts, and the page that shows it.
#ifndef ATELIER_SERVER_METRICS_SERVER_METRICS_H_
#define ATELIER_SERVER_METRICS_SERVER_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "atelier/v1/monitoring_service.pb.h"
#include "server/base/clock.h"
#include "server/metrics/access_metrics.h"
#include "server/metrics/call_metrics.h"
#include "server/metrics/engine_metrics.h"
#include "server/metrics/job_metrics.h"
#include "server/metrics/machine_metrics.h"
#include "server/metrics/metrics_page.h"
#include "server/metrics/object_metrics.h"
#include "server/metrics/process_metrics.h"
#include "server/metrics/registry_metrics.h"
#include "server/metrics/serving_metrics.h"
#include "server/metrics/webhook_metrics.h"

namespace atelier::metrics {

// Thread-safe. Must outlive all who report to it.
class ServerMetrics {
 public:
  struct Options {
    MetricsPage::Options page;
    JobMetrics::Options jobs;
    ServingMetrics::Options serving;
    std::string data_dir;                              // Whose file system is watched.
    std::function<std::uint64_t()> dropped_log_lines;  // Since the start; may be empty.
  };

  // Listens. `clock` must outlive it. Errors as MetricsPage::Start.
  static absl::StatusOr<std::unique_ptr<ServerMetrics>> Start(const Options& options,
                                                              const Clock* clock);

  jobs::JobObserver* jobs() { return jobs_.get(); }
  serving::ServingObserver* serving() { return &serving_; }
  rpc::CallObserver* calls() { return &calls_; }
  webhooks::WebhookObserver* webhooks() { return &webhooks_; }
  access::AccessObserver* access() { return &access_; }
  objects::ObjectObserver* objects() { return &objects_; }
  registry::RegistryObserver* registry() { return &registry_; }
  remote::EngineObserver* engine() { return engine_.get(); }
  // What the page would show now.
  v1::GetMetricsResponse Snapshot(const v1::GetMetricsRequest& request) const;
  int port() const { return page_->port(); }

 private:
  ServerMetrics(const Options& options, const Clock* clock, std::unique_ptr<MetricsPage> page);

  const Clock* const clock_;
  const std::unique_ptr<MetricsPage> page_;  // Owns the registry that the others add to.
  const std::shared_ptr<ProcessMetrics> process_;
  const std::shared_ptr<MachineMetrics> machine_;
  const std::shared_ptr<JobMetrics> jobs_;
  const std::shared_ptr<EngineMetrics> engine_;
  ServingMetrics serving_;
  CallMetrics calls_;
  WebhookMetrics webhooks_;
  AccessMetrics access_;
  ObjectMetrics objects_;
  RegistryMetrics registry_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_SERVER_METRICS_H_
