#include "server/worker/resource_sampler.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/base/proc_file.h"
#include "server/worker/steady_now.h"
#include "tests/unit/wait.h"

namespace atelier::worker {
namespace {

TEST(ProcessAgeTest, Grows) {
  const absl::Duration before = ProcessAge();
  EXPECT_GE(before, absl::ZeroDuration());
  EXPECT_LT(before, absl::Hours(1));
  EXPECT_TRUE(WaitFor([&] { return ProcessAge() > before; }));
}

TEST(ProcNumberTest, FindsTheNumberOfALine) {
  constexpr char kText[] = "Name:\tx VmHWM: 3\nVmHWM:\t   13844 kB\nVmHWMs:\t1 kB\nThreads:\t4\n";
  EXPECT_EQ(ProcNumber(kText, "VmHWM"), 13844);
  EXPECT_EQ(ProcNumber(kText, "Threads"), 4);
  EXPECT_EQ(ProcNumber(kText, "Name"), std::nullopt);
  EXPECT_EQ(ProcNumber(kText, "VmRSS"), std::nullopt);
  EXPECT_EQ(ProcNumber("", "VmRSS"), std::nullopt);
}

TEST(ResourceSamplerTest, CountsProcessorTime) {
  ResourceSampler sampler;
  const absl::Duration around = SteadyNow();
  const double before = sampler.Sample().cpu_seconds();
  const absl::Duration between = SteadyNow();
  // The processor time of this process, not the time of day: the loop ends however busy the machine
  // is.
  const clock_t busy_until = std::clock() + CLOCKS_PER_SEC / 10;
  while (std::clock() < busy_until) {
  }
  const double inner = absl::ToDoubleSeconds(SteadyNow() - between);
  const atelier::v1::ResourceSample sample = sampler.Sample();
  const double outer = absl::ToDoubleSeconds(SteadyNow() - around);
  const double used = sample.cpu_seconds() - before;
  EXPECT_GE(used, 0.09);
  // The time between the samples was no shorter than the inner and no longer than the outer one.
  EXPECT_GE(sample.cpu_utilization(), used / outer);
  EXPECT_LE(sample.cpu_utilization(), used / inner);
}

TEST(ResourceSamplerTest, CountsMemory) {
  ResourceSampler sampler;
  const std::int64_t before = sampler.Sample().resident_bytes();
  constexpr std::size_t kBytes = 64 << 20;
  {
    std::vector<char> memory(kBytes, 1);
    EXPECT_GE(sampler.Sample().resident_bytes(),
              before + static_cast<std::int64_t>(kBytes) * 9 / 10);
  }
  const atelier::v1::ResourceSample after = sampler.Sample();
  EXPECT_GE(after.peak_resident_bytes(), before + static_cast<std::int64_t>(kBytes) * 9 / 10);
  EXPECT_GE(after.peak_resident_bytes(), after.resident_bytes());
}

TEST(ResourceSamplerTest, ReadsWhatTheKernelCountsOfStorage) {
  std::string dir = ::testing::TempDir() + "/proc-XXXXXX";
  ASSERT_NE(mkdtemp(dir.data()), nullptr);
  std::ofstream(dir + "/io") << "rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\n"
                                "cancelled_write_bytes: 0\n";
  std::ofstream(dir + "/status") << "VmHWM:\t 20 kB\nVmRSS:\t 10 kB\n";
  const atelier::v1::ResourceSample sample = ResourceSampler(dir).Sample();
  EXPECT_EQ(sample.read_bytes(), 4096);
  EXPECT_EQ(sample.written_bytes(), 8192);
  EXPECT_EQ(sample.resident_bytes(), 10240);
  EXPECT_EQ(sample.peak_resident_bytes(), 20480);
  std::remove((dir + "/io").c_str());
  std::remove((dir + "/status").c_str());
  // Where the files cannot be read it says what else is known.
  EXPECT_GE(ResourceSampler(dir).Sample().read_bytes(), 0);
  rmdir(dir.c_str());
}

}  // namespace
}  // namespace atelier::worker
