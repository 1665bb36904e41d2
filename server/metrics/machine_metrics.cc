#include "server/metrics/machine_metrics.h"

#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "server/metrics/samples.h"

namespace atelier::metrics {
namespace {

constexpr double kSectorBytes = 512;  // In /proc/diskstats, whatever the device's own are.

std::optional<double> Real(std::optional<std::int64_t> number) {
  if (!number.has_value()) return std::nullopt;
  return static_cast<double>(*number);
}

// Time that any processor was busy.
std::optional<double> SystemCpuSeconds(const std::string& root) {
  std::ifstream file(root + "/proc/stat");
  std::string name;
  // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of the first two.
  std::array<double, 8> ticks = {};
  file >> name;
  for (double& tick : ticks) file >> tick;
  if (!file || name != "cpu") return std::nullopt;
  const double busy = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6];
  return busy / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double UsableCores(const ControlGroup& group) {
  cpu_set_t allowed;
  double cores = 1;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) cores = CPU_COUNT(&allowed);
  return std::min(cores, group.cpu_limit_cores().value_or(cores));
}

// A line of /proc/meminfo, in bytes.
std::optional<double> MemoryInfo(const std::string& root, const std::string& field) {
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    double kibibytes = 0;
    if (words >> name >> kibibytes && name == field + ":") return kibibytes * 1024;
  }
  return std::nullopt;
}

std::optional<double> SystemMemoryUsed(const std::string& root) {
  const auto total = MemoryInfo(root, "MemTotal");
  const auto available = MemoryInfo(root, "MemAvailable");
  if (!total.has_value() || !available.has_value()) return std::nullopt;
  return *total - *available;
}

std::optional<double> MemoryLimit(const std::string& root, const ControlGroup& group) {
  const auto total = MemoryInfo(root, "MemTotal");
  const auto limit = Real(group.memory_limit_bytes());
  if (!total.has_value() || !limit.has_value()) return total.has_value() ? total : limit;
  return std::min(*total, *limit);
}

// Whole disks: what lies on others, or in memory, would count twice or is no storage.
bool IsDisk(const std::string& root, const std::string& name) {
  for (const char* prefix : {"loop", "ram", "zram", "dm-", "md", "sr", "fd"}) {
    if (absl::StartsWith(name, prefix)) return false;
  }
  std::error_code ignored;
  return std::filesystem::exists(root + "/sys/block/" + name, ignored);
}

std::optional<DiskBytes> SystemDiskBytes(const std::string& root) {
  std::ifstream file(root + "/proc/diskstats");
  if (!file) return std::nullopt;
  DiskBytes sum;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, skipped;
    double read = 0, written = 0;
    words >> skipped >> skipped >> name >> skipped >> skipped >> read;
    words >> skipped >> skipped >> skipped >> written;
    if (!words || !IsDisk(root, name)) continue;
    sum.read += static_cast<std::int64_t>(read * kSectorBytes);
    sum.written += static_cast<std::int64_t>(written * kSectorBytes);
  }
  return sum;
}

struct NetworkBytes {
  double received = 0;
  double sent = 0;
};

std::optional<NetworkBytes> SystemNetworkBytes(const std::string& root) {
  std::ifstream file(root + "/proc/net/dev");
  if (!file) return std::nullopt;
  NetworkBytes sum;
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;  // The two lines of headings.
    if (absl::StripAsciiWhitespace(line.substr(0, colon)) == "lo") continue;
    std::istringstream words(line.substr(colon + 1));
    std::array<double, 9> columns = {};
    for (double& column : columns) words >> column;
    if (!words) continue;
    sum.received += columns[0];
    sum.sent += columns[8];
  }
  return sum;
}

}  // namespace

MachineMetrics::MachineMetrics(Options options)
    : options_(std::move(options)), group_(ControlGroup::OfThisProcess(options_.root)) {}

std::vector<prometheus::MetricFamily> MachineMetrics::Collect() const {
  const std::string& root = options_.root;
  std::vector<prometheus::MetricFamily> families;
  const auto add = [&](Samples samples, std::optional<double> value) {
    samples.Add(value);
    std::move(samples).MoveTo(&families);
  };
  auto cpu_seconds = group_.cpu_seconds();
  if (!cpu_seconds.has_value()) cpu_seconds = SystemCpuSeconds(root);
  add(Samples::Counter("atelier_machine_cpu_seconds_total", "Processor time used by everything."),
      cpu_seconds);
  add(Samples::Gauge("atelier_machine_cpu_cores", "Cores that may be used."), UsableCores(group_));

  auto memory_used = Real(group_.memory_used_bytes());
  if (!memory_used.has_value()) memory_used = SystemMemoryUsed(root);
  add(Samples::Gauge("atelier_machine_memory_used_bytes", "Memory in use."), memory_used);
  add(Samples::Gauge("atelier_machine_memory_limit_bytes", "Memory that may be used."),
      MemoryLimit(root, group_));

  struct statvfs disk;
  if (statvfs(options_.data_dir.c_str(), &disk) == 0) {
    const auto block = static_cast<double>(disk.f_frsize);
    add(Samples::Gauge("atelier_machine_disk_size_bytes", "Size of the data's file system."),
        block * static_cast<double>(disk.f_blocks));
    add(Samples::Gauge("atelier_machine_disk_free_bytes", "Free space on it."),
        block * static_cast<double>(disk.f_bavail));
  }
  auto storage = group_.disk_bytes();
  if (!storage.has_value()) storage = SystemDiskBytes(root);
  if (storage.has_value()) {
    add(Samples::Counter("atelier_machine_disk_read_bytes_total", "Bytes read from storage."),
        static_cast<double>(storage->read));
    add(Samples::Counter("atelier_machine_disk_written_bytes_total", "Bytes written to storage."),
        static_cast<double>(storage->written));
  }
  if (const auto network = SystemNetworkBytes(root)) {
    add(Samples::Counter("atelier_machine_network_received_bytes_total",
                         "Bytes received, loopback left out."),
        network->received);
    add(Samples::Counter("atelier_machine_network_sent_bytes_total",
                         "Bytes sent, loopback left out."),
        network->sent);
  }
  return families;
}

}  // namespace atelier::metrics
