#include "server/rpc/archive_entries.h"

#include <utility>

#include "models/files/sha256.h"
#include "server/rpc/status.h"

namespace atelier::rpc {

absl::StatusOr<std::shared_ptr<const ArchiveEntries::Entry>> ArchiveEntries::Get(
    const std::string& key, absl::FunctionRef<absl::StatusOr<std::string>()> unpack) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      if (auto entry = found->second.lock()) return entry;
    }
  }
  auto bytes = unpack();
  if (!bytes.ok()) return bytes.status();
  auto made = std::make_shared<Entry>();
  made->sha256 = models::Sha256Of(*bytes);
  made->bytes = *std::move(bytes);
  absl::MutexLock lock(&mutex_);
  std::int64_t held = 0;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const auto kept = entry->second.lock();
    // Another caller was quicker.
    if (kept != nullptr && entry->first == key) return kept;
    if (kept != nullptr) held += static_cast<std::int64_t>(kept->bytes.size());
    entry = kept == nullptr ? entries_.erase(entry) : std::next(entry);
  }
  // One alone is sent however large it is.
  if (held > 0 && held + static_cast<std::int64_t>(made->bytes.size()) > max_bytes_) {
    return ServerBusy();
  }
  entries_[key] = made;
  return made;
}

}  // namespace atelier::rpc
