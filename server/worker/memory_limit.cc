#include "server/worker/memory_limit.h"

#include <string.h>
#include <sys/resource.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/base/proc_file.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

// For threads' stacks, the session and the log, whose failed allocation would end the process
// without a word: the job's own fail first. And for LibTorch, of which loading takes 81 MiB.
#ifdef ABSL_HAVE_ADDRESS_SANITIZER
constexpr std::int64_t kReserveBytes = std::int64_t{1} << 30;  // The sanitizer's own bookkeeping.
#else
constexpr std::int64_t kReserveBytes = std::int64_t{160} << 20;
#endif
constexpr absl::Duration kWatchInterval = absl::Milliseconds(200);

absl::StatusOr<std::int64_t> FromStatus(absl::string_view name) {
  const std::optional<std::int64_t> number = ProcNumber(ReadProcFile("/proc/self/status"), name);
  if (!number.has_value()) {
    return absl::NotFoundError(absl::StrCat("/proc/self/status has no ", name));
  }
  return *number * 1024;
}

}  // namespace

absl::StatusOr<std::int64_t> UsedMemoryBytes() { return FromStatus("RssAnon"); }

bool LimitAllocations(std::int64_t bytes) {
  const absl::StatusOr<std::int64_t> now = FromStatus("VmData");
  if (!now.ok()) {
    spdlog::warn("cannot limit memory: {}", std::string(now.status().message()));
    return false;
  }
  const auto limit = static_cast<rlim_t>(*now + bytes + kReserveBytes);
  const rlimit value = {limit, limit};
  if (setrlimit(RLIMIT_DATA, &value) == 0) return true;
  spdlog::warn("cannot limit memory to {} bytes: {}", limit, strerror(errno));
  return false;
}

std::string FormatBytes(std::int64_t bytes) {
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  constexpr std::int64_t kGibibyte = std::int64_t{1} << 30;
  const bool large = bytes >= kGibibyte;
  return absl::StrFormat("%.4g %s", static_cast<double>(bytes) / (large ? kGibibyte : kMebibyte),
                         large ? "GiB" : "MiB");
}

MemoryWatch::MemoryWatch(std::int64_t limit_bytes, std::function<void(std::int64_t)> exceeded)
    : limit_bytes_(limit_bytes),
      exceeded_(std::move(exceeded)),
      ticker_("memory-watch", kWatchInterval, [this] { Look(); }) {}

void MemoryWatch::Look() {
  const absl::StatusOr<std::int64_t> used = UsedMemoryBytes();
  if (!exceeded_ || !used.ok() || *used <= limit_bytes_) return;
  std::exchange(exceeded_, nullptr)(*used);
}

}  // namespace atelier::worker
