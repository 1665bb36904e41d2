#include "server/worker/awake_time.h"

#include <gtest/gtest.h>

namespace atelier::worker {
namespace {

TEST(AwakeTimeTest, LeavesOutSpansInWhichNobodyAsked) {
  absl::Duration steady = absl::Seconds(100);
  AwakeTime time([&] { return steady; });
  const absl::Duration began = time.Now();
  for (int i = 0; i < 5; ++i) {
    steady += AwakeTime::kLongestWait;
    time.Now();
  }
  EXPECT_EQ(time.Now() - began, 5 * AwakeTime::kLongestWait);
  steady += absl::Hours(1);  // The process was stopped.
  EXPECT_EQ(time.Now() - began, 6 * AwakeTime::kLongestWait);
  EXPECT_EQ(time.Now() - began, 6 * AwakeTime::kLongestWait);
}

}  // namespace
}  // namespace atelier::worker
