#include "client/following/metric_samples.h"

#include <algorithm>

#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

bool Has(const MetricSamples::Labels& labels, const MetricSamples::Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    const auto found = labels.find(label.first);
    return found != labels.end() && found->second == label.second;
  });
}

}  // namespace

MetricSamples::MetricSamples(const v1::GetMetricsResponse& response)
    : time_(ToTime(response.time())) {
  for (const v1::MetricSample& sample : response.samples()) {
    samples_.emplace(
        sample.name(),
        std::make_pair(Labels(sample.labels().begin(), sample.labels().end()), sample.value()));
  }
}

std::optional<double> MetricSamples::Sum(const std::string& name, const Labels& labels) const {
  std::optional<double> sum;
  const auto [begin, end] = samples_.equal_range(name);
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [own_labels, value] = entry->second;
    if (Has(own_labels, labels)) sum = sum.value_or(0) + value;
  }
  return sum;
}

std::optional<double> MetricSamples::Rate(const MetricSamples& before, const std::string& name,
                                          const Labels& labels) const {
  const std::optional<double> now = Sum(name, labels);
  const double seconds = absl::ToDoubleSeconds(time_ - before.time_);
  const bool same_server =
      Sum("process_start_time_seconds") == before.Sum("process_start_time_seconds");
  if (!now.has_value() || seconds <= 0 || !same_server) return std::nullopt;
  // A series begins with the first thing it counts.
  return std::max(0.0, *now - before.Sum(name, labels).value_or(0)) / seconds;
}

std::set<std::vector<std::string>> MetricSamples::Combinations(
    const std::string& name, const std::vector<std::string>& labels) const {
  std::set<std::vector<std::string>> combinations;
  const auto [begin, end] = samples_.equal_range(name);
  for (auto entry = begin; entry != end; ++entry) {
    std::vector<std::string> values;
    for (const std::string& label : labels) {
      const auto found = entry->second.first.find(label);
      values.push_back(found == entry->second.first.end() ? "" : found->second);
    }
    combinations.insert(std::move(values));
  }
  return combinations;
}

}  // namespace atelier::client
