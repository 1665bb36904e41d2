#include "server/metrics/machine_metrics.h"

#include "gtest/gtest.h"
#include "tests/unit/metrics/fake_machine.h"
#include "tests/unit/metrics/page_text.h"

namespace atelier::metrics {
namespace {

class MachineMetricsTest : public testing::Test {
 protected:
  Series Collect() const {
    return Show(MachineMetrics({.data_dir = "/", .root = machine_.root()}));
  }

  FakeMachine machine_;
};

TEST_F(MachineMetricsTest, ShowsTheSystemWhereNothingConfinesTheServer) {
  machine_.WriteSystem();
  Series series = Collect();
  EXPECT_EQ(series["atelier_machine_cpu_seconds_total"], 30);
  EXPECT_GE(series["atelier_machine_cpu_cores"], 1);
  EXPECT_EQ(series["atelier_machine_memory_used_bytes"], 2'000'000.0 * 1024);
  EXPECT_EQ(series["atelier_machine_memory_limit_bytes"], 8'000'000.0 * 1024);
  EXPECT_EQ(series["atelier_machine_disk_read_bytes_total"], 20 * 512);
  EXPECT_EQ(series["atelier_machine_disk_written_bytes_total"], 40 * 512);
  EXPECT_EQ(series["atelier_machine_network_received_bytes_total"], 101);
  EXPECT_EQ(series["atelier_machine_network_sent_bytes_total"], 202);
  EXPECT_GT(series["atelier_machine_disk_size_bytes"], 0);
  EXPECT_LE(series["atelier_machine_disk_free_bytes"], series["atelier_machine_disk_size_bytes"]);
}

TEST_F(MachineMetricsTest, ShowsTheContainerInVersion2) {
  machine_.WriteSystem();
  machine_.WriteVersion2Container("50000 100000", "1000000");
  Series series = Collect();
  EXPECT_EQ(series["atelier_machine_cpu_seconds_total"], 2.5);
  EXPECT_EQ(series["atelier_machine_cpu_cores"], 0.5);
  EXPECT_EQ(series["atelier_machine_memory_used_bytes"], 3000);
  EXPECT_EQ(series["atelier_machine_memory_limit_bytes"], 1000000);
  EXPECT_EQ(series["atelier_machine_disk_read_bytes_total"], 11);
}

TEST_F(MachineMetricsTest, ShowsTheContainerInVersion1) {
  machine_.WriteSystem();
  machine_.WriteVersion1Container("50000", "1000000");
  Series series = Collect();
  EXPECT_EQ(series["atelier_machine_cpu_cores"], 0.5);
  EXPECT_EQ(series["atelier_machine_memory_limit_bytes"], 1000000);
  EXPECT_EQ(series["atelier_machine_disk_written_bytes_total"], 22);
}

TEST_F(MachineMetricsTest, WithoutALimitInVersion2TheMachinesMemoryIsTheLimit) {
  machine_.WriteSystem();
  machine_.WriteVersion2Container("max 100000", "max");
  EXPECT_EQ(Collect()["atelier_machine_memory_limit_bytes"], 8'000'000.0 * 1024);
}

TEST_F(MachineMetricsTest, WithoutALimitInVersion1TheMachinesMemoryIsTheLimit) {
  machine_.WriteSystem();
  machine_.WriteVersion1Container("-1", "9223372036854771712");
  EXPECT_EQ(Collect()["atelier_machine_memory_limit_bytes"], 8'000'000.0 * 1024);
}

TEST_F(MachineMetricsTest, LeavesOutWhatIsNotKnown) {
  const Series series = Collect();
  EXPECT_FALSE(series.contains("atelier_machine_memory_used_bytes"));
  EXPECT_FALSE(series.contains("atelier_machine_cpu_seconds_total"));
  EXPECT_TRUE(series.contains("atelier_machine_cpu_cores"));
}

}  // namespace
}  // namespace atelier::metrics
