// What a collectable answers a scrape with: families, filled sample by sample.
#ifndef ATELIER_SERVER_METRICS_SAMPLES_H_
#define ATELIER_SERVER_METRICS_SAMPLES_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "prometheus/metric_family.h"

namespace atelier::metrics {

using LabelList = std::vector<prometheus::ClientMetric::Label>;

// One family. Not thread-safe. A family without samples is not shown.
class Samples {
 public:
  static Samples Counter(std::string name, std::string help) {
    return Samples(std::move(name), std::move(help), prometheus::MetricType::Counter);
  }
  static Samples Gauge(std::string name, std::string help) {
    return Samples(std::move(name), std::move(help), prometheus::MetricType::Gauge);
  }

  // What is not known is left out.
  void Add(std::optional<double> value, LabelList labels = {}) {
    if (!value.has_value()) return;
    prometheus::ClientMetric& sample = family_.metric.emplace_back();
    sample.label = std::move(labels);
    sample.counter.value = *value;
    sample.gauge.value = *value;
  }

  void MoveTo(std::vector<prometheus::MetricFamily>* families) && {
    if (!family_.metric.empty()) families->push_back(std::move(family_));
  }

 private:
  Samples(std::string name, std::string help, prometheus::MetricType type) {
    family_.name = std::move(name);
    family_.help = std::move(help);
    family_.type = type;
  }

  prometheus::MetricFamily family_;
};

}  // namespace atelier::metrics

#endif  // ATELIER_SERVER_METRICS_SAMPLES_H_
