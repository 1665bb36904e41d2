#include "server/metrics/snapshot.h"

#include <algorithm>
#include <string>

namespace atelier::metrics {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricType;

bool Wanted(const std::string& name, const v1::GetMetricsRequest& request) {
  return request.names().empty() ||
         std::find(request.names().begin(), request.names().end(), name) != request.names().end();
}

void Add(std::string name, const ClientMetric& series, double value,
         v1::GetMetricsResponse* response) {
  v1::MetricSample* const sample = response->add_samples();
  sample->set_name(std::move(name));
  for (const auto& label : series.label) (*sample->mutable_labels())[label.name] = label.value;
  sample->set_value(value);
}

}  // namespace

void AddSamples(const std::vector<prometheus::MetricFamily>& families,
                const v1::GetMetricsRequest& request, v1::GetMetricsResponse* response) {
  for (const prometheus::MetricFamily& family : families) {
    if (!Wanted(family.name, request)) continue;
    for (const ClientMetric& series : family.metric) {
      switch (family.type) {
        case MetricType::Counter:
          Add(family.name, series, series.counter.value, response);
          break;
        case MetricType::Histogram:
          Add(family.name + "_count", series, static_cast<double>(series.histogram.sample_count),
              response);
          Add(family.name + "_sum", series, series.histogram.sample_sum, response);
          break;
        case MetricType::Summary:
          Add(family.name + "_count", series, static_cast<double>(series.summary.sample_count),
              response);
          Add(family.name + "_sum", series, series.summary.sample_sum, response);
          break;
        default:
          Add(family.name, series, series.gauge.value, response);
      }
    }
  }
}

}  // namespace atelier::metrics
