#include "server/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/metrics/samples.h"

namespace atelier::metrics {
namespace {

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// Field `number` of /proc/self/stat, counted as proc(5) does, from 3: those behind the name.
std::optional<double> StatField(int number) {
  std::ifstream file("/proc/self/stat");
  std::string line;
  if (!std::getline(file, line) || line.rfind(')') == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string word;
  for (int i = 3; i <= number; ++i) fields >> word;
  double value = 0;
  if (!fields || !absl::SimpleAtod(word, &value)) return std::nullopt;
  return value;
}

std::optional<double> CpuSeconds() {
  rusage usage;
  if (getrusage(RUSAGE_SELF, &usage) != 0) return std::nullopt;
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

std::optional<double> OpenFiles() {
  std::error_code error;
  double count = 0;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    ++count;
  }
  if (error) return std::nullopt;
  return count - 1;  // The folder itself was open.
}

std::optional<double> MaxFiles() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return std::nullopt;
  return static_cast<double>(files.rlim_cur);
}

std::optional<double> StartTime() {
  const auto since_boot = StatField(22);  // In clock ticks.
  std::ifstream file("/proc/stat");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name;
    double boot = 0;
    if (!(fields >> name >> boot) || name != "btime" || !since_boot.has_value()) continue;
    return boot + *since_boot / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  return std::nullopt;
}

}  // namespace

ProcessMetrics::ProcessMetrics(std::function<std::uint64_t()> dropped_log_lines)
    : dropped_log_lines_(std::move(dropped_log_lines)), start_time_(StartTime()) {}

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](Samples samples, std::optional<double> value) {
    samples.Add(value);
    std::move(samples).MoveTo(&families);
  };
  std::optional<double> resident = StatField(24);  // In pages.
  if (resident.has_value()) *resident *= static_cast<double>(sysconf(_SC_PAGESIZE));
  add(Samples::Counter("process_cpu_seconds_total", "Processor time, user and system."),
      CpuSeconds());
  add(Samples::Gauge("process_resident_memory_bytes", "Resident memory."), resident);
  add(Samples::Gauge("process_virtual_memory_bytes", "Virtual memory."), StatField(23));
  add(Samples::Gauge("process_open_fds", "Open file descriptors."), OpenFiles());
  add(Samples::Gauge("process_max_fds", "Most file descriptors it may open."), MaxFiles());
  add(Samples::Gauge("process_threads", "Threads."), StatField(20));
  add(Samples::Gauge("process_start_time_seconds", "When it started, Unix time."), start_time_);
  std::optional<double> dropped;
  if (dropped_log_lines_) dropped = static_cast<double>(dropped_log_lines_());
  add(Samples::Counter("atelier_log_lines_dropped_total",
                       "Lines of the server's log that were dropped, for nobody read them."),
      dropped);
  return families;
}

}  // namespace atelier::metrics
