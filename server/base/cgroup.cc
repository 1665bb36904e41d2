#include "server/base/cgroup.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace atelier {
namespace {

namespace fs = std::filesystem;

// Version 1 says "no limit" with the largest number of whole pages.
constexpr std::int64_t kNoMemoryLimit = std::int64_t{1} << 60;

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The words of a file, line by line; empty if it cannot be read.
std::vector<std::vector<std::string>> ReadLines(const std::string& path) {
  std::vector<std::vector<std::string>> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    lines.push_back(absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty()));
  }
  return lines;
}

std::optional<std::int64_t> Number(const std::string& word) {
  std::int64_t number = 0;
  if (!absl::SimpleAtoi(word, &number)) return std::nullopt;
  return number;
}

// The number that is all of a file. Nothing for `max` or a missing file.
std::optional<std::int64_t> ReadNumber(const std::string& path) {
  const auto lines = ReadLines(path);
  if (lines.empty() || lines[0].empty()) return std::nullopt;
  return Number(lines[0][0]);
}

// The number behind a word at a line's beginning.
std::optional<std::int64_t> ReadField(const std::string& path, const std::string& field) {
  for (const auto& words : ReadLines(path)) {
    if (words.size() == 2 && words[0] == field) return Number(words[1]);
  }
  return std::nullopt;
}

std::optional<double> CpuLimit(const std::string& folder) {
  std::optional<std::int64_t> quota;
  std::optional<std::int64_t> period;
  const auto lines = ReadLines(folder + "/cpu.max");  // "<quota> <period>", quota may be "max"
  if (!lines.empty() && lines[0].size() == 2) {
    quota = Number(lines[0][0]);
    period = Number(lines[0][1]);
  } else {
    quota = ReadNumber(folder + "/cpu.cfs_quota_us");  // -1 if there is none
    period = ReadNumber(folder + "/cpu.cfs_period_us");
  }
  if (quota.value_or(0) <= 0 || period.value_or(0) <= 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

std::optional<std::int64_t> MemoryLimit(const std::string& folder) {
  auto limit = ReadNumber(folder + "/memory.max");
  if (!limit.has_value()) limit = ReadNumber(folder + "/memory.limit_in_bytes");
  if (limit.value_or(0) <= 0 || *limit >= kNoMemoryLimit) return std::nullopt;
  return limit;
}

template <typename Limit>
auto Tightest(const std::vector<std::string>& folders, Limit limit_of) {
  decltype(limit_of(folders[0])) tightest;
  for (const std::string& folder : folders) {
    const auto limit = limit_of(folder);
    if (limit.has_value() && (!tightest.has_value() || *limit < *tightest)) tightest = limit;
  }
  return tightest;
}

}  // namespace

ControlGroup ControlGroup::OfThisProcess(const std::string& root) {
  // "0::/group" in version 2, "4:cpu,cpuacct:/group" in version 1.
  std::map<std::string, std::pair<std::string, std::string>> version1;  // Mount's name and group.
  std::string version2;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    if (parts[1].empty()) version2 = parts[2];
    for (const auto& controller : absl::StrSplit(parts[1], ',', absl::SkipEmpty())) {
      version1[std::string(controller)] = {parts[1], parts[2]};
    }
  }
  const std::string mount = root + "/sys/fs/cgroup";
  ControlGroup found;
  found.root_ = root;
  if (Exists(mount + "/cgroup.controllers")) {
    found.cpu_ = FindChain(mount, version2);
    // Only the top of the whole hierarchy has no type.
    found.cpu_.in_container = Exists(mount + "/cgroup.type");
    found.cpu_usage_ = found.memory_ = found.disk_ = found.cpu_;
    return found;
  }
  const auto find = [&](const std::string& controller) {
    const auto& [name, group] = version1[controller];
    if (name.empty()) return Chain();
    const std::string own = absl::StrCat(mount, "/", name);
    Chain chain = FindChain(Exists(own) ? own : absl::StrCat(mount, "/", controller), group);
    // A container sees its group as the top, but its name as it is outside.
    chain.in_container = group.size() > 1 && chain.folders.size() == 1;
    return chain;
  };
  found.cpu_ = find("cpu");
  found.cpu_usage_ = find("cpuacct");
  found.memory_ = find("memory");
  found.disk_ = find("blkio");
  return found;
}

ControlGroup::Chain ControlGroup::FindChain(const std::string& mount, const std::string& group) {
  Chain chain;
  if (!Exists(mount)) return chain;
  for (fs::path path = group; path.has_relative_path(); path = path.parent_path()) {
    const std::string folder = mount + path.string();
    if (Exists(folder)) chain.folders.push_back(folder);
  }
  chain.folders.push_back(mount);
  return chain;
}

std::string ControlGroup::CountingFolder(const Chain& chain) {
  for (const std::string& folder : chain.folders) {
    if (CpuLimit(folder).has_value() || MemoryLimit(folder).has_value()) return folder;
  }
  return chain.in_container ? chain.folders.front() : "";
}

std::optional<double> ControlGroup::cpu_limit_cores() const {
  return Tightest(cpu_.folders, CpuLimit);
}

std::optional<std::int64_t> ControlGroup::memory_limit_bytes() const {
  return Tightest(memory_.folders, MemoryLimit);
}

std::optional<double> ControlGroup::cpu_seconds() const {
  const std::string folder = CountingFolder(cpu_usage_);
  if (folder.empty()) return std::nullopt;
  if (const auto microseconds = ReadField(folder + "/cpu.stat", "usage_usec")) {
    return static_cast<double>(*microseconds) * 1e-6;
  }
  const auto nanoseconds = ReadNumber(folder + "/cpuacct.usage");
  if (!nanoseconds.has_value()) return std::nullopt;
  return static_cast<double>(*nanoseconds) * 1e-9;
}

std::optional<std::int64_t> ControlGroup::memory_used_bytes() const {
  const std::string folder = CountingFolder(memory_);
  if (folder.empty()) return std::nullopt;
  auto used = ReadNumber(folder + "/memory.current");
  auto idle = ReadField(folder + "/memory.stat", "inactive_file");
  if (!used.has_value()) {
    used = ReadNumber(folder + "/memory.usage_in_bytes");
    idle = ReadField(folder + "/memory.stat", "total_inactive_file");
  }
  if (!used.has_value()) return std::nullopt;
  return std::max<std::int64_t>(*used - idle.value_or(0), 0);
}

std::optional<DiskBytes> ControlGroup::disk_bytes() const {
  const std::string folder = CountingFolder(disk_);
  if (folder.empty()) return std::nullopt;
  DiskBytes sum;
  if (Exists(folder + "/io.stat")) {
    for (const auto& words : ReadLines(folder + "/io.stat")) {  // "8:0 rbytes=1 wbytes=2 …"
      for (const std::string& word : words) {
        const std::pair<std::string, std::string> field = absl::StrSplit(word, '=');
        if (field.first == "rbytes") sum.read += Number(field.second).value_or(0);
        if (field.first == "wbytes") sum.written += Number(field.second).value_or(0);
      }
    }
    return sum;
  }
  const std::string path = folder + "/blkio.throttle.io_service_bytes_recursive";
  if (!Exists(path)) return std::nullopt;
  for (const auto& words : ReadLines(path)) {  // "8:0 Read 1"
    if (words.size() != 3) continue;
    if (words[1] == "Read") sum.read += Number(words[2]).value_or(0);
    if (words[1] == "Write") sum.written += Number(words[2]).value_or(0);
  }
  return sum;
}

std::optional<std::int64_t> ControlGroup::oom_kills() const {
  if (!memory_.folders.empty()) {
    const std::string& folder = memory_.folders.front();
    for (const char* name : {"/memory.events", "/memory.oom_control"}) {
      if (const auto count = ReadField(folder + name, "oom_kill")) return count;
    }
  }
  return ReadField(root_ + "/proc/vmstat", "oom_kill");
}

}  // namespace atelier
