#include "server/processes/cpu_pool.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::processes {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(CpuPoolTest, GivesTheLeastUsedProcessors) {
  CpuPool pool({0, 1, 2, 3});
  EXPECT_THAT(pool.Take(1), ElementsAre(0));
  EXPECT_THAT(pool.Take(2), ElementsAre(1, 2));
  EXPECT_THAT(pool.Take(2), ElementsAre(0, 3));
}

TEST(CpuPoolTest, GivesReleasedProcessorsAgain) {
  CpuPool pool({4, 6});
  const std::vector<int> first = pool.Take(1);
  EXPECT_THAT(pool.Take(1), ElementsAre(6));
  pool.Release(first);
  EXPECT_THAT(pool.Take(1), ElementsAre(4));
}

TEST(CpuPoolTest, GivesAllWhenAskedForMore) {
  CpuPool pool({0, 1});
  EXPECT_THAT(pool.Take(5), ElementsAre(0, 1));
}

TEST(CpuPoolTest, CountsAdoptedUsersOfItsOwnProcessorsAlone) {
  CpuPool pool({0, 1});
  pool.Hold({0, 17});
  EXPECT_THAT(pool.Take(1), ElementsAre(1));
  pool.Release({0, 17});
}

TEST(CpuPoolTest, GivesNoneWhenItHasNone) { EXPECT_THAT(CpuPool({}).Take(2), IsEmpty()); }

}  // namespace
}  // namespace atelier::processes
