// A lock that the processes of a machine hold against each other, in a file that may be removed by
// who holds it.
#ifndef ATELIER_SERVER_WORKER_LOCK_FILE_H_
#define ATELIER_SERVER_WORKER_LOCK_FILE_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace atelier::worker {

// Movable; released with it, and with the end of the process, whatever ends it.
class LockFile {
 public:
  enum class Kind { kShared, kExclusive };

  // Makes the file if need be. Nothing if the lock is held otherwise. UNKNOWN, with the system's
  // words.
  static absl::StatusOr<std::optional<LockFile>> TryTake(const std::string& path, Kind kind);
  // The same of a plain file of this user's that is there already; NOT_FOUND if there is none.
  static absl::StatusOr<std::optional<LockFile>> TryTakeOwn(const std::string& path);
  // Waits for it.
  static absl::StatusOr<LockFile> Take(const std::string& path);

  LockFile(LockFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  LockFile& operator=(LockFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~LockFile();

 private:
  explicit LockFile(int descriptor) : descriptor_(descriptor) {}
  enum class Making { kIfMissing, kNever };
  static absl::StatusOr<std::optional<LockFile>> Lock(const std::string& path, int operation,
                                                      Making making = Making::kIfMissing);

  int descriptor_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_LOCK_FILE_H_
