#include "models/base/thread_team.h"

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace atelier::models {
namespace {

TEST(ThreadTeamTest, RunsEveryPieceOnce) {
  for (const int64_t threads : {1, 2, 5}) {
    ThreadTeam team(threads);
    EXPECT_EQ(team.size(), threads);
    for (const int64_t count : {0, 1, 3, 100}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
      team.Run(count, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
      for (const std::atomic<int>& run : runs) EXPECT_EQ(run, 1);
    }
  }
}

TEST(ThreadTeamTest, StartsHelpersOnce) {
  std::atomic<int> started = 0;
  {
    ThreadTeam team(3, [&] { ++started; });
    for (int i = 0; i < 10; ++i) team.Run(4, [](int64_t) {});
  }
  EXPECT_EQ(started, 2);
}

TEST(ThreadTeamTest, ThrowsThePiecesExceptionAndGoesOn) {
  ThreadTeam team(3);
  for (int round = 0; round < 20; ++round) {
    try {
      team.Run(50, [](int64_t i) {
        if (i >= 0) throw std::runtime_error("piece " + std::to_string(i));
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(std::string(error.what()), "piece 0");
    }
    std::atomic<int> ran = 0;
    team.Run(7, [&](int64_t) { ++ran; });
    EXPECT_EQ(ran, 7);
  }
}

}  // namespace
}  // namespace atelier::models
