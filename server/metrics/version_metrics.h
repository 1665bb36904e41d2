// The series of one version of a model: counters and histograms that stay while the server runs,
// gauges that go with the version.
#ifndef ATELIER_SERVER_METRICS_VERSION_METRICS_H_
#define ATELIER_SERVER_METRICS_VERSION_METRICS_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/base/call_once.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/labels.h"
#include "prometheus/registry.h"
#include "server/serving/serving_observer.h"

namespace atelier::metrics {

// The families that the versions' series belong to.
struct ServingFamilies {
  explicit ServingFamilies(prometheus::Registry* registry);

  prometheus::Family<prometheus::Counter>& requests;
  prometheus::Family<prometheus::Counter>& images;
  prometheus::Family<prometheus::Histogram>& request_duration;
  prometheus::Family<prometheus::Histogram>& queue_duration;
  prometheus::Family<prometheus::Histogram>& compute_duration;
  prometheus::Family<prometheus::Histogram>& batch_size;
  prometheus::Family<prometheus::Counter>& dispatches;
  prometheus::Family<prometheus::Gauge>& in_flight;
  prometheus::Family<prometheus::Gauge>& queue_length;
  prometheus::Family<prometheus::Gauge>& load_duration;
  prometheus::Family<prometheus::Gauge>& memory;
};

// What is counted of one version, whether it is in memory or not: the series are there from
// construction to destruction. Thread-safe. Only one of the same labels at a time.
class VersionCounts {
 public:
  // `families` must outlive it.
  VersionCounts(ServingFamilies* families, prometheus::Labels labels);
  ~VersionCounts();
  VersionCounts(const VersionCounts&) = delete;
  VersionCounts& operator=(const VersionCounts&) = delete;

  void Answered(const serving::RequestReport& report);
  void Computed(std::int64_t images, serving::DispatchReason reason);

 private:
  static constexpr std::size_t kCodes = 17;  // OK to UNAUTHENTICATED.
  static constexpr std::size_t kReasons = 3;

  prometheus::Counter* RequestsOf(absl::StatusCode code);

  ServingFamilies* const families_;
  const prometheus::Labels labels_;
  prometheus::Counter* const images_;
  prometheus::Histogram* const request_duration_;
  prometheus::Histogram* const queue_duration_;
  prometheus::Histogram* const compute_duration_;
  prometheus::Histogram* const batch_size_;
  std::array<prometheus::Counter*, kReasons> dispatches_ = {};

  // Those beyond the usual ones come with the first of their kind.
  std::array<absl::once_flag, kCodes> code_seen_;
  std::array<prometheus::Counter*, kCodes> requests_ = {};
};

// One version in memory. Its gauges are there from construction to destruction; what it counts goes
// to `counts`, which must outlive it. Thread-safe. Only one of the same model and version at a
// time.
class VersionMetrics final : public serving::VersionObserver {
 public:
  // `families` must outlive it.
  VersionMetrics(ServingFamilies* families, const prometheus::Labels& labels,
                 VersionCounts* counts);
  ~VersionMetrics() override;
  VersionMetrics(const VersionMetrics&) = delete;
  VersionMetrics& operator=(const VersionMetrics&) = delete;

  void Loaded(absl::Duration duration, std::int64_t memory_bytes) override;
  void Arrived() override;
  void Answered(const serving::RequestReport& report) override;
  void QueueChanged(std::int64_t images) override;
  void Computed(std::int64_t images, serving::DispatchReason reason) override;

 private:
  ServingFamilies* const families_;
  const prometheus::Labels labels_;
  VersionCounts* const counts_;
  prometheus::Gauge* const in_flight_;
  prometheus::Gauge* const queue_length_;

  // They come with the first load.
  absl::once_flag loaded_;
  prometheus::Gauge* load_duration_ = nullptr;
  prometheus::Gauge* memory_ = nullptr;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_VERSION_METRICS_H_
