// Metrics at one time, looked up by name and labels. Immutable, so thread-safe.
#ifndef ATELIER_CLIENT_FOLLOWING_METRIC_SAMPLES_H_
#define ATELIER_CLIENT_FOLLOWING_METRIC_SAMPLES_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "atelier/v1/monitoring_service.pb.h"

namespace atelier::client {

class MetricSamples {
 public:
  using Labels = std::map<std::string, std::string>;

  MetricSamples() = default;
  explicit MetricSamples(const v1::GetMetricsResponse& response);

  absl::Time time() const { return time_; }

  // The sum over the series of this name with at least these labels; nullopt if there is none.
  std::optional<double> Sum(const std::string& name, const Labels& labels = {}) const;

  // The rate of a counter per second since `before`; nullopt if it does not exist or the server was
  // restarted.
  std::optional<double> Rate(const MetricSamples& before, const std::string& name,
                             const Labels& labels = {}) const;

  // The combinations of these labels' values among the series of a name.
  std::set<std::vector<std::string>> Combinations(const std::string& name,
                                                  const std::vector<std::string>& labels) const;

 private:
  absl::Time time_;
  std::multimap<std::string, std::pair<Labels, double>> samples_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_METRIC_SAMPLES_H_
