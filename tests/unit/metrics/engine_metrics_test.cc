#include "server/metrics/engine_metrics.h"

#include <gtest/gtest.h>

#include "tests/unit/metrics/page_text.h"

namespace atelier::metrics {
namespace {

TEST(EngineMetricsTest, ShowsWhatTheEngineHasOnceItWasAsked) {
  EngineMetrics metrics;
  EXPECT_TRUE(Show(metrics).empty());
  metrics.Asked({.running = {{"n1", 2}}, .pending = {{"Priority", 1}, {"None", 3}}});
  EXPECT_EQ(Show(metrics), (Series{{"atelier_engine_running{node=\"n1\"}", 2},
                                   {"atelier_engine_pending{reason=\"Priority\"}", 1},
                                   {"atelier_engine_pending{reason=\"None\"}", 3},
                                   {"atelier_engine_silent_since_timestamp_seconds", 0}}));
  metrics.Asked({});
  metrics.Silent(absl::FromUnixSeconds(1700000000));
  EXPECT_EQ(Show(metrics), (Series{{"atelier_engine_silent_since_timestamp_seconds", 1700000000}}));
}

}  // namespace
}  // namespace atelier::metrics
