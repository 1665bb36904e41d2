#include "server/objects/object_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/match.h"

namespace atelier::objects {
namespace {

bool IsThere(const std::string& path) {
  struct stat about;
  return stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

}  // namespace

bool ObjectCache::Use(const std::string& path) {
  MutexLock lock(&mutex_);
  if (!IsThere(PathOf(path))) return false;
  used_[path] = {.time = clock_->Now()};
  return true;
}

absl::Status ObjectCache::NoteUses(absl::Time now) {
  std::vector<std::pair<std::string, absl::Time>> fresh;
  {
    MutexLock lock(&mutex_);
    absl::erase_if(used_, [&](const auto& use) { return use.second.time < now - 2 * kGrace; });
    for (auto& [path, usage] : used_) {
      if (!std::exchange(usage.noted, true)) fresh.emplace_back(path, usage.time);
    }
  }
  for (const auto& [path, time] : fresh) {
    if (auto status = list_->TouchObject(path, time); !status.ok()) return status;
  }
  return absl::OkStatus();
}

bool ObjectCache::Remove(const std::string& path, absl::Time now) {
  MutexLock lock(&mutex_);
  const auto use = used_.find(path);
  if (use != used_.end() && use->second.time >= now - kGrace) return false;
  return unlink(PathOf(path).c_str()) == 0;
}

absl::StatusOr<std::int64_t> ObjectCache::Trim() {
  const absl::Time now = clock_->Now();
  if (auto status = NoteUses(now); !status.ok()) return status;
  const auto all = list_->ListObjects("");
  if (!all.ok()) return all.status();
  std::int64_t bytes = 0;
  for (const jobs::ObjectRecord& record : *all) {
    const bool stored = record.state == jobs::ObjectRecord::State::kStored;
    if (stored && IsThere(PathOf(record.path))) bytes += record.size_bytes;
  }
  if (bytes <= limit_bytes_) return bytes;
  const auto idle = list_->IdleObjects(now - kGrace);
  if (!idle.ok()) return idle.status();
  for (const jobs::ObjectRecord& record : *idle) {
    if (bytes <= limit_bytes_) break;
    if (absl::StartsWith(record.path, "checkpoints/")) continue;
    if (Remove(record.path, now)) bytes -= record.size_bytes;
  }
  return bytes;
}

}  // namespace atelier::objects
