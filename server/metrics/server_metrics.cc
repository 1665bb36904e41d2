#include "server/metrics/server_metrics.h"

#include <utility>

#include "server/jobs/timestamps.h"
#include "server/metrics/snapshot.h"

namespace atelier::metrics {

absl::StatusOr<std::unique_ptr<ServerMetrics>> ServerMetrics::Start(const Options& options,
                                                                    const Clock* clock) {
  auto page = MetricsPage::Start(options.page);
  if (!page.ok()) return page.status();
  return std::unique_ptr<ServerMetrics>(new ServerMetrics(options, clock, *std::move(page)));
}

ServerMetrics::ServerMetrics(const Options& options, const Clock* clock,
                             std::unique_ptr<MetricsPage> page)
    : clock_(clock),
      page_(std::move(page)),
      process_(std::make_shared<ProcessMetrics>(options.dropped_log_lines)),
      machine_(
          std::make_shared<MachineMetrics>(MachineMetrics::Options{.data_dir = options.data_dir})),
      jobs_(std::make_shared<JobMetrics>(options.jobs, clock, &page_->registry())),
      engine_(std::make_shared<EngineMetrics>()),
      serving_(options.serving, clock, &page_->registry()),
      calls_(&page_->registry()),
      webhooks_(&page_->registry()),
      access_(&page_->registry()),
      objects_(&page_->registry()),
      registry_(&page_->registry()) {
  page_->Add(process_);
  page_->Add(machine_);
  page_->Add(jobs_);
  page_->Add(engine_);
}

v1::GetMetricsResponse ServerMetrics::Snapshot(const v1::GetMetricsRequest& request) const {
  v1::GetMetricsResponse response;
  *response.mutable_time() = jobs::ToTimestamp(clock_->Now());
  const prometheus::Collectable* const sources[] = {&page_->registry(), process_.get(),
                                                    machine_.get(), jobs_.get(), engine_.get()};
  for (const prometheus::Collectable* source : sources) {
    AddSamples(source->Collect(), request, &response);
  }
  return response;
}

}  // namespace atelier::metrics
