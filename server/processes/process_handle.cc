#include "server/processes/process_handle.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/base/proc_file.h"

namespace atelier::processes {
namespace {

// What /proc/<pid>/stat says: the state's letter and the start time.
struct ProcessStat {
  char state = 'X';
  std::uint64_t start_ticks = 0;
};

absl::StatusOr<ProcessStat> ReadStat(pid_t pid) {
  const std::string text = ReadProcFile(absl::StrCat("/proc/", pid, "/stat"));
  // The second field is the program's name in brackets, and may itself hold brackets and spaces.
  const std::size_t name_end = text.rfind(") ");
  if (name_end != std::string::npos) {
    const std::vector<std::string> fields = absl::StrSplit(text.substr(name_end + 2), ' ');
    ProcessStat stat;
    // Counted from the third field, the state; the start time is the 22nd.
    if (fields.size() > 19 && absl::SimpleAtoi(fields[19], &stat.start_ticks)) {
      stat.state = fields[0][0];
      return stat;
    }
  }
  return absl::NotFoundError(absl::StrCat("there is no process ", pid));
}

}  // namespace

absl::StatusOr<ProcessHandle> ProcessHandle::Of(pid_t pid) {
  const absl::StatusOr<ProcessStat> stat = ReadStat(pid);
  if (!stat.ok()) return stat.status();
  const std::string boot_id = ReadProcFile("/proc/sys/kernel/random/boot_id");
  return ProcessHandle{pid, stat->start_ticks, std::string(absl::StripAsciiWhitespace(boot_id))};
}

absl::StatusOr<ProcessHandle> ProcessHandle::Parse(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  ProcessHandle handle;
  if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &handle.pid) || handle.pid <= 0 ||
      !absl::SimpleAtoi(parts[1], &handle.start_ticks)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' names no process; it would be <pid>:<start time>:<boot of the machine>"));
  }
  handle.boot_id = std::string(parts[2]);
  return handle;
}

std::string ProcessHandle::ToString() const {
  return absl::StrCat(pid, ":", start_ticks, ":", boot_id);
}

bool ProcessHandle::Runs() const {
  const absl::StatusOr<ProcessHandle> now = Of(pid);
  if (!now.ok() || *now != *this) return false;
  const absl::StatusOr<ProcessStat> stat = ReadStat(pid);
  return stat.ok() && stat->state != 'Z' && stat->state != 'X';
}

}  // namespace atelier::processes
