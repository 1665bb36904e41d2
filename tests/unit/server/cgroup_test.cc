#include "server/base/cgroup.h"

#include "gtest/gtest.h"
#include "server/base/machine.h"
#include "tests/unit/metrics/fake_machine.h"

namespace atelier::server {
namespace {

constexpr char kVersion1Unlimited[] = "9223372036854771712";

class ControlGroupTest : public testing::Test {
 protected:
  ControlGroup Find() const { return ControlGroup::OfThisProcess(machine_.root()); }

  FakeMachine machine_;
};

TEST_F(ControlGroupTest, KnowsNothingWhereThereIsNone) {
  const ControlGroup group = Find();
  EXPECT_EQ(group.cpu_limit_cores(), std::nullopt);
  EXPECT_EQ(group.memory_limit_bytes(), std::nullopt);
  EXPECT_EQ(group.cpu_seconds(), std::nullopt);
  EXPECT_EQ(group.memory_used_bytes(), std::nullopt);
  EXPECT_FALSE(group.disk_bytes().has_value());
}

TEST_F(ControlGroupTest, CountsWhatTheKernelEndedForWantOfMemory) {
  machine_.Write("/proc/vmstat", "pgfault 7\noom_kill 5\n");
  EXPECT_EQ(Find().oom_kills(), 5);  // Of the machine.
  machine_.WriteVersion2Container("max 100000", "max");
  machine_.Write("/sys/fs/cgroup/memory.events", "low 0\noom 3\noom_kill 2\noom_group_kill 0\n");
  EXPECT_EQ(Find().oom_kills(), 2);
}

TEST_F(ControlGroupTest, CountsWhatTheKernelEndedInAVersion1Container) {
  machine_.WriteVersion1Container("-1", "1000000");
  machine_.Write("/sys/fs/cgroup/memory/memory.oom_control",
                 "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
  EXPECT_EQ(Find().oom_kills(), 4);
}

TEST(MemoryForJobsTest, LeavesSomeToTheServer) {
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  EXPECT_EQ(MemoryForJobs(0), 0);
  EXPECT_EQ(MemoryForJobs(6144 * kMebibyte), 5376 * kMebibyte);
  EXPECT_EQ(MemoryForJobs(65536 * kMebibyte), 64512 * kMebibyte);
  EXPECT_EQ(MemoryForJobs(1024 * kMebibyte), 768 * kMebibyte);
  EXPECT_EQ(MemoryForJobs(300 * kMebibyte), 256 * kMebibyte);
}

TEST_F(ControlGroupTest, ReadsAVersion2Container) {
  machine_.WriteVersion2Container("150000 100000", "1000000");
  const ControlGroup group = Find();
  EXPECT_EQ(group.cpu_limit_cores(), 1.5);
  EXPECT_EQ(group.memory_limit_bytes(), 1000000);
  EXPECT_EQ(group.cpu_seconds(), 2.5);
  EXPECT_EQ(group.memory_used_bytes(), 3000);
  EXPECT_EQ(group.disk_bytes()->read, 11);
  EXPECT_EQ(group.disk_bytes()->written, 22);
}

TEST_F(ControlGroupTest, ReadsAVersion2ContainerWithoutLimits) {
  machine_.WriteVersion2Container("max 100000", "max");
  const ControlGroup group = Find();
  EXPECT_EQ(group.cpu_limit_cores(), std::nullopt);
  EXPECT_EQ(group.memory_limit_bytes(), std::nullopt);
  EXPECT_EQ(group.cpu_seconds(), 2.5);
  EXPECT_EQ(group.memory_used_bytes(), 3000);
}

TEST_F(ControlGroupTest, ReadsAVersion1Container) {
  machine_.WriteVersion1Container("50000", "1000000");
  const ControlGroup group = Find();
  EXPECT_EQ(group.cpu_limit_cores(), 0.5);
  EXPECT_EQ(group.memory_limit_bytes(), 1000000);
  EXPECT_EQ(group.cpu_seconds(), 2.5);
  EXPECT_EQ(group.memory_used_bytes(), 3000);
  EXPECT_EQ(group.disk_bytes()->read, 11);
  EXPECT_EQ(group.disk_bytes()->written, 22);
}

TEST_F(ControlGroupTest, ReadsAVersion1ContainerWithoutLimits) {
  machine_.WriteVersion1Container("-1", kVersion1Unlimited);
  const ControlGroup group = Find();
  EXPECT_EQ(group.cpu_limit_cores(), std::nullopt);
  EXPECT_EQ(group.memory_limit_bytes(), std::nullopt);
  EXPECT_EQ(group.cpu_seconds(), 2.5);
  EXPECT_EQ(group.memory_used_bytes(), 3000);
}

TEST_F(ControlGroupTest, AServiceWithoutLimitsIsNotConfined) {
  machine_.Write("/proc/self/cgroup", "0::/system.slice/atelierd.service\n");
  machine_.Write("/sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
  const std::string group = "/sys/fs/cgroup/system.slice/atelierd.service";
  machine_.Write(group + "/memory.max", "max\n");
  machine_.Write(group + "/memory.current", "5000\n");
  EXPECT_EQ(Find().memory_used_bytes(), std::nullopt);
}

TEST_F(ControlGroupTest, TheTightestLimitAboveCountsAndUsageNextToIt) {
  machine_.Write("/proc/self/cgroup", "0::/system.slice/atelierd.service\n");
  machine_.Write("/sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
  const std::string slice = "/sys/fs/cgroup/system.slice";
  machine_.Write(slice + "/memory.max", "1000\n");
  machine_.Write(slice + "/memory.current", "600\n");
  machine_.Write(slice + "/atelierd.service/memory.max", "max\n");
  machine_.Write(slice + "/atelierd.service/memory.current", "500\n");
  EXPECT_EQ(Find().memory_limit_bytes(), 1000);
  EXPECT_EQ(Find().memory_used_bytes(), 600);
  machine_.Write(slice + "/atelierd.service/memory.max", "5000\n");
  EXPECT_EQ(Find().memory_limit_bytes(), 1000);
}

TEST_F(ControlGroupTest, FilesThatHoldSomethingElseAreTakenForNoLimit) {
  machine_.WriteVersion2Container("rubbish", "-7");
  EXPECT_EQ(Find().cpu_limit_cores(), std::nullopt);
  EXPECT_EQ(Find().memory_limit_bytes(), std::nullopt);
  machine_.WriteVersion2Container("", "");
  EXPECT_EQ(Find().cpu_limit_cores(), std::nullopt);
  EXPECT_EQ(Find().memory_limit_bytes(), std::nullopt);
}

}  // namespace
}  // namespace atelier::server
