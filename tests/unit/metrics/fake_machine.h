// A folder that stands for a machine's /proc and /sys.
#ifndef ATELIER_TESTS_UNIT_METRICS_FAKE_MACHINE_H_
#define ATELIER_TESTS_UNIT_METRICS_FAKE_MACHINE_H_

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/models/temporary_folder.h"

namespace atelier {

class FakeMachine {
 public:
  // Stands before /proc and /sys.
  std::string root() const { return folder_.File("root"); }

  // A file such as "/proc/stat" and what it holds.
  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }

  // A machine without control groups: 2 of 8 GB used, 30 s of processor time.
  void WriteSystem() const {
    Write("/proc/meminfo", "MemTotal: 8000000 kB\nMemFree: 1000000 kB\nMemAvailable: 6000000 kB\n");
    Write("/proc/stat", "cpu  1000 0 1500 9000 70 200 300 50 0 0\ncpu0 1 2 3\nbtime 1\n");
    Write("/proc/diskstats",
          "   7  0 loop0 1 0 800 0 1 0 800 0 0 0 0\n"
          " 259  0 nvme0n1 10 0 20 0 5 0 40 0 0 0 0\n"
          " 259  1 nvme0n1p1 10 0 20 0 5 0 40 0 0 0 0\n");
    Write("/sys/block/nvme0n1/size", "1");
    Write("/sys/block/loop0/size", "1");
    Write("/proc/net/dev",
          "Inter-| Receive | Transmit\n face |bytes packets |bytes packets\n"
          "    lo: 9999 1 0 0 0 0 0 0 9999 1 0 0 0 0 0 0\n"
          "  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n"
          "enplo1:1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n");
  }

  // A container of version 2: its group is the top of what is mounted.
  void WriteVersion2Container(const std::string& cpu_max, const std::string& memory_max) const {
    const std::string group = "/sys/fs/cgroup";
    Write("/proc/self/cgroup", "0::/\n");
    Write(group + "/cgroup.controllers", "cpu io memory\n");
    Write(group + "/cgroup.type", "domain\n");
    Write(group + "/cpu.max", cpu_max + "\n");
    Write(group + "/cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
    Write(group + "/memory.max", memory_max + "\n");
    Write(group + "/memory.current", "5000\n");
    Write(group + "/memory.stat", "anon 1\ninactive_file 2000\n");
    Write(group + "/io.stat",
          "8:0 rbytes=10 wbytes=20 rios=1 wios=1\n9:0 rbytes=1 wbytes=2 rios=1\n");
  }

  // A container of version 1, which sees its group as the top but knows its name outside.
  void WriteVersion1Container(const std::string& quota, const std::string& memory_limit) const {
    const std::string mount = "/sys/fs/cgroup";
    Write("/proc/self/cgroup",
          "3:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:blkio:/docker/abc\n");
    Write(mount + "/cpu,cpuacct/cpu.cfs_quota_us", quota + "\n");
    Write(mount + "/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    Write(mount + "/cpu,cpuacct/cpuacct.usage", "2500000000\n");
    Write(mount + "/memory/memory.limit_in_bytes", memory_limit + "\n");
    Write(mount + "/memory/memory.usage_in_bytes", "5000\n");
    Write(mount + "/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 2000\n");
    Write(mount + "/blkio/blkio.throttle.io_service_bytes_recursive",
          "8:0 Read 11\n8:0 Write 22\n8:0 Sync 3\nTotal 33\n");
  }

 private:
  const models::TemporaryFolder folder_;
};

}  // namespace atelier

#endif  // ATELIER_TESTS_UNIT_METRICS_FAKE_MACHINE_H_
