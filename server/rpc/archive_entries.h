// Files taken out of model archives for downloads: one copy of each in memory, however many read
// it, and a bound on all copies together.
#ifndef ATELIER_SERVER_RPC_ARCHIVE_ENTRIES_H_
#define ATELIER_SERVER_RPC_ARCHIVE_ENTRIES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"

namespace atelier::rpc {

// Thread-safe.
class ArchiveEntries {
 public:
  struct Entry {
    std::string bytes;
    std::string sha256;
  };

  explicit ArchiveEntries(std::int64_t max_bytes = std::int64_t{256} << 20)
      : max_bytes_(max_bytes) {}

  // The entry of that key, which is forgotten when nobody holds it any more; `unpack` is called if
  // there is none, by several callers at once it may be. Its errors; RESOURCE_EXHAUSTED
  // (SERVER_BUSY) where the entries that are held leave no room.
  absl::StatusOr<std::shared_ptr<const Entry>> Get(
      const std::string& key, absl::FunctionRef<absl::StatusOr<std::string>()> unpack);

 private:
  const std::int64_t max_bytes_;

  absl::Mutex mutex_;
  std::map<std::string, std::weak_ptr<const Entry>> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_ARCHIVE_ENTRIES_H_
