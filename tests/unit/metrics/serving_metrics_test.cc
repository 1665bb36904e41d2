#include "server/metrics/serving_metrics.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/metrics/page_text.h"

namespace atelier::metrics {
namespace {

using serving::DispatchReason;

serving::RequestReport Uncomputed(absl::StatusCode code) {
  serving::RequestReport report;
  report.code = code;
  report.total = absl::Seconds(1);
  return report;
}

class ServingMetricsTest : public testing::Test {
 protected:
  // Of version 3 of the model `net`; `more` are further labels, in their place of the alphabet.
  double Counted(const std::string& name, const std::string& before = "",
                 const std::string& between = "") {
    return ValueOf(registry_, name + "{" + before + "model=\"net\"," + between + "version=\"3\"}")
        .value_or(-1);
  }

  prometheus::Registry registry_;
  ServingMetrics metrics_{&registry_};
};

TEST_F(ServingMetricsTest, CountsRequests) {
  const auto version = metrics_.Observe("net", 3);
  EXPECT_EQ(Counted("atelier_inference_requests_total", "code=\"OK\","), 0);
  version->Arrived();
  version->Arrived();
  EXPECT_EQ(Counted("atelier_inference_in_flight"), 2);
  version->Answered({.images = 8,
                     .total = absl::Seconds(3),
                     .computed = true,
                     .queue = absl::Seconds(1),
                     .compute = absl::Seconds(2)});
  version->Answered(Uncomputed(absl::StatusCode::kCancelled));
  EXPECT_EQ(Counted("atelier_inference_in_flight"), 0);
  EXPECT_EQ(Counted("atelier_inference_requests_total", "code=\"OK\","), 1);
  EXPECT_EQ(Counted("atelier_inference_requests_total", "code=\"CANCELLED\","), 1);
  EXPECT_EQ(Counted("atelier_inference_images_total"), 8);
  EXPECT_EQ(Counted("atelier_inference_request_duration_seconds_sum"), 4);
  EXPECT_EQ(Counted("atelier_inference_queue_duration_seconds_sum"), 1);
  EXPECT_EQ(Counted("atelier_inference_compute_duration_seconds_sum"), 2);
  EXPECT_EQ(Counted("atelier_inference_compute_duration_seconds_count"), 1);
}

TEST_F(ServingMetricsTest, CountsBatchesAndWhatWaits) {
  const auto version = metrics_.Observe("net", 3);
  version->QueueChanged(5);
  version->QueueChanged(-2);
  version->Computed(2, DispatchReason::kIdle);
  version->Computed(4, DispatchReason::kFull);
  EXPECT_EQ(Counted("atelier_inference_queue_length"), 3);
  EXPECT_EQ(Counted("atelier_inference_batch_size_sum"), 6);
  EXPECT_EQ(Counted("atelier_inference_dispatches_total", "", "reason=\"full\","), 1);
  EXPECT_EQ(Counted("atelier_inference_dispatches_total", "", "reason=\"delay\","), 0);
}

TEST_F(ServingMetricsTest, ShowsWhatLoadingTook) {
  const auto version = metrics_.Observe("net", 3);
  EXPECT_EQ(Counted("atelier_model_load_duration_seconds"), -1);
  version->Loaded(absl::Seconds(1), 1000);
  version->Loaded(absl::Seconds(2), 2000);
  EXPECT_EQ(Counted("atelier_model_load_duration_seconds"), 2);
  EXPECT_EQ(Counted("atelier_model_memory_bytes"), 2000);
}

TEST_F(ServingMetricsTest, SeriesGoWithTheLastHolder) {
  auto version = metrics_.Observe("net", 3);
  auto again = metrics_.Observe("net", 3);
  const auto other = metrics_.Observe("other", 3);
  version->Loaded(absl::Seconds(1), 1000);
  version->Answered(Uncomputed(absl::StatusCode::kInternal));
  version.reset();
  again->Computed(1, DispatchReason::kIdle);
  EXPECT_EQ(Counted("atelier_inference_batch_size_sum"), 1);
  again.reset();
  EXPECT_EQ(CountOf(registry_, "model=\"net\""), 0u);
  EXPECT_GT(CountOf(registry_, "model=\"other\""), 0u);
}

TEST_F(ServingMetricsTest, SwapsAreCountedWhileAVersionIsThere) {
  metrics_.Swapped("net");
  EXPECT_EQ(CountOf(registry_, "swaps"), 0u);
  auto old_version = metrics_.Observe("net", 3);
  const auto new_version = metrics_.Observe("net", 4);
  metrics_.Swapped("net");
  old_version.reset();
  EXPECT_EQ(ValueOf(registry_, R"(atelier_model_swaps_total{model="net"})"), 1);
}

TEST_F(ServingMetricsTest, DurationsAreNeverNegative) {
  const auto version = metrics_.Observe("net", 3);
  version->Loaded(-absl::Seconds(1), 0);
  version->Arrived();
  version->Answered({.total = -absl::Seconds(3),
                     .computed = true,
                     .queue = -absl::Seconds(1),
                     .compute = -absl::Seconds(2)});
  for (const auto& [series, value] : Show(registry_)) EXPECT_GE(value, 0) << series;
}

TEST_F(ServingMetricsTest, VersionsComeAndGoWhileTheyAreCountedAndShown) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([this] {
      for (int n = 0; n < 300; ++n) {
        const auto version = metrics_.Observe("net", n % 2);
        version->Arrived();
        version->Answered(Uncomputed(absl::StatusCode::kOk));
      }
    });
  }
  for (int n = 0; n < 20; ++n) Show(registry_);
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Show(registry_).empty());
}

}  // namespace
}  // namespace atelier::metrics
