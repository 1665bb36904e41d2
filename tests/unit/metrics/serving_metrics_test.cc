#include "server/metrics/serving_metrics.h"

#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/unit/jobs/fakes.h"
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

  jobs::FakeClock clock_;
  prometheus::Registry registry_;
  ServingMetrics metrics_{{.max_versions = 3, .retention = absl::Hours(1)}, &clock_, &registry_};
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

TEST_F(ServingMetricsTest, WhatASloFailureIsCountedByIsThereAtZero) {
  const auto version = metrics_.Observe("net", 3);
  for (const std::string code :
       {"OK", "INTERNAL", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}) {
    EXPECT_EQ(Counted("atelier_inference_requests_total", "code=\"" + code + "\","), 0) << code;
  }
}

TEST_F(ServingMetricsTest, GaugesGoWithTheLastHolder) {
  auto version = metrics_.Observe("net", 3);
  auto again = metrics_.Observe("net", 3);
  version->Loaded(absl::Seconds(1), 1000);
  version.reset();
  EXPECT_EQ(Counted("atelier_inference_in_flight"), 0);
  again.reset();
  for (const std::string gauge :
       {"atelier_inference_in_flight", "atelier_inference_queue_length",
        "atelier_model_load_duration_seconds", "atelier_model_memory_bytes"}) {
    EXPECT_EQ(Counted(gauge), -1) << gauge;
  }
}

TEST_F(ServingMetricsTest, CountersStayWhenAVersionLeavesMemoryAndGoOnWhenItIsBack) {
  for (int times = 1; times <= 3; ++times) {
    auto version = metrics_.Observe("net", 3);
    version->Arrived();
    version->Answered({.images = 8,
                       .total = absl::Seconds(3),
                       .computed = true,
                       .queue = absl::Seconds(1),
                       .compute = {}});
    version->Computed(8, DispatchReason::kIdle);
    version.reset();
    EXPECT_EQ(Counted("atelier_inference_requests_total", "code=\"OK\","), times);
    EXPECT_EQ(Counted("atelier_inference_images_total"), 8 * times);
    EXPECT_EQ(Counted("atelier_inference_request_duration_seconds_sum"), 3 * times);
    EXPECT_EQ(Counted("atelier_inference_queue_duration_seconds_count"), times);
    EXPECT_EQ(Counted("atelier_inference_batch_size_sum"), 8 * times);
    EXPECT_EQ(Counted("atelier_inference_dispatches_total", "", "reason=\"idle\","), times);
  }
}

TEST_F(ServingMetricsTest, TheVersionThatLeftMemoryFirstGivesItsPlaceAfterAnHour) {
  for (const int version : {1, 2, 3}) {
    metrics_.Observe("net", version);
    clock_.Advance(absl::Minutes(1));
  }
  clock_.Advance(absl::Hours(1));
  metrics_.Observe("net", 4);
  EXPECT_EQ(CountOf(registry_, "version=\"1\""), 0u);
  for (const std::string version : {"2", "3", "4"}) {
    EXPECT_GT(CountOf(registry_, "version=\"" + version + "\""), 0u) << version;
  }
}

// What one version gives is counted once, in a series that never goes back.
TEST_F(ServingMetricsTest, WhatHasNoPlaceIsCountedTogether) {
  for (const int version : {1, 2, 3}) metrics_.Observe("net", version);
  for (const int version : {4, 5, 4}) {
    const auto observer = metrics_.Observe("net", version);
    observer->Arrived();
    EXPECT_EQ(
        ValueOf(registry_, absl::StrCat("atelier_inference_in_flight{model=\"net\",version=\"",
                                        version, "\"}")),
        1);
    observer->Answered(Uncomputed(absl::StatusCode::kOk));
  }
  EXPECT_EQ(ValueOf(registry_,
                    "atelier_inference_requests_total{code=\"OK\",model=\"_other\","
                    "version=\"_other\"}"),
            3);
  EXPECT_EQ(CountOf(registry_, "version=\"4\""), 0u);
  EXPECT_EQ(CountOf(registry_, "version=\"5\""), 0u);
}

TEST_F(ServingMetricsTest, AThousandVersionsHaveNoMoreSeriesThanAFew) {
  for (int version = 0; version < 3; ++version) metrics_.Observe("net", version);
  const std::size_t series = Show(registry_).size();
  clock_.Advance(absl::Hours(2));
  for (int version = 3; version < 1000; ++version) {
    metrics_.Observe(absl::StrCat("net-", version), version);
    clock_.Advance(absl::Minutes(30));
  }
  EXPECT_LE(Show(registry_).size(), series + 2) << "but for two models' swaps";
}

TEST_F(ServingMetricsTest, SwapsAreCountedOnceAVersionWasThere) {
  metrics_.Swapped("net");
  EXPECT_EQ(CountOf(registry_, "swaps"), 0u);
  auto version = metrics_.Observe("net", 3);
  metrics_.Swapped("net");
  version.reset();
  metrics_.Observe("net", 4);
  metrics_.Swapped("net");
  EXPECT_EQ(ValueOf(registry_, R"(atelier_model_swaps_total{model="net"})"), 2);
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
  double counted = 0;
  for (const std::string version : {"0", "1"}) {
    counted += ValueOf(registry_,
                       "atelier_inference_requests_total{code=\"OK\",model=\"net\","
                       "version=\"" +
                           version + "\"}")
                   .value_or(0);
  }
  EXPECT_EQ(counted, 900);
}

}  // namespace
}  // namespace atelier::metrics
