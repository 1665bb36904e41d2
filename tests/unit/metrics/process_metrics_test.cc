#include "server/metrics/process_metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/metrics/page_text.h"

namespace atelier::metrics {
namespace {

TEST(ProcessMetricsTest, ShowsThisProcess) {
  Series series = Show(ProcessMetrics());
  EXPECT_GT(series["process_cpu_seconds_total"], 0);
  EXPECT_GT(series["process_resident_memory_bytes"], 1e5);
  EXPECT_GT(series["process_virtual_memory_bytes"], series["process_resident_memory_bytes"]);
  EXPECT_GE(series["process_threads"], 1);
  EXPECT_GT(series["process_max_fds"], series["process_open_fds"]);
  const double now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(series["process_start_time_seconds"], now, 3600);
}

TEST(ProcessMetricsTest, CountsOpenFiles) {
  const ProcessMetrics metrics;
  const double before = *ValueOf(metrics, "process_open_fds");
  std::vector<int> files;
  for (int i = 0; i < 5; ++i) files.push_back(open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(ValueOf(metrics, "process_open_fds"), before + 5);
  for (const int file : files) close(file);
}

TEST(ProcessMetricsTest, ShowsWhatTheLogDropped) {
  EXPECT_EQ(ValueOf(ProcessMetrics([] { return 7u; }), "atelier_log_lines_dropped_total"), 7);
}

}  // namespace
}  // namespace atelier::metrics
