#include "server/metrics/snapshot.h"

#include <map>
#include <string>

#include "gtest/gtest.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"

namespace atelier::metrics {
namespace {

std::map<std::string, double> Values(const v1::GetMetricsResponse& response) {
  std::map<std::string, double> values;
  for (const v1::MetricSample& sample : response.samples()) {
    std::string name = sample.name();
    for (const auto& [label, value] : sample.labels()) name += "," + label + "=" + value;
    values[name] = sample.value();
  }
  return values;
}

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() {
    prometheus::BuildCounter()
        .Name("calls_total")
        .Register(registry_)
        .Add({{"code", "OK"}})
        .Increment(3);
    prometheus::BuildGauge().Name("cores").Register(registry_).Add({}).Set(2);
    auto& seconds = prometheus::BuildHistogram().Name("seconds").Register(registry_).Add(
        {}, prometheus::Histogram::BucketBoundaries{1, 2});
    seconds.Observe(0.5);
    seconds.Observe(4);
  }

  prometheus::Registry registry_;
  v1::GetMetricsRequest request_;
  v1::GetMetricsResponse response_;
};

TEST_F(SnapshotTest, TellsEverySeriesAndOfHistogramsCountAndSum) {
  AddSamples(registry_.Collect(), request_, &response_);
  const std::map<std::string, double> expected = {
      {"calls_total,code=OK", 3}, {"cores", 2}, {"seconds_count", 2}, {"seconds_sum", 4.5}};
  EXPECT_EQ(Values(response_), expected);
}

TEST_F(SnapshotTest, TellsOnlyWhatIsAskedFor) {
  request_.add_names("seconds");
  request_.add_names("nonsense");
  AddSamples(registry_.Collect(), request_, &response_);
  const std::map<std::string, double> expected = {{"seconds_count", 2}, {"seconds_sum", 4.5}};
  EXPECT_EQ(Values(response_), expected);
}

}  // namespace
}  // namespace atelier::metrics
