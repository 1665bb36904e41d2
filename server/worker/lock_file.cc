#include "server/worker/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace atelier::worker {

LockFile::~LockFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::StatusOr<std::optional<LockFile>> LockFile::Lock(const std::string& path, int operation,
                                                       Making making) {
  const auto failed = [&](absl::string_view doing) {
    return absl::UnknownError(absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno)));
  };
  while (true) {
    // Without waiting for whom a FIFO would wait for.
    const int flags =
        O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (making == Making::kIfMissing ? O_CREAT : 0);
    const int descriptor = open(path.c_str(), flags, S_IRUSR | S_IWUSR);
    if (descriptor < 0 && errno == ENOENT && making == Making::kNever) {
      return absl::NotFoundError(absl::StrCat("there is no ", path));
    }
    if (descriptor < 0) return failed("opening");
    LockFile lock(descriptor);
    struct stat held;
    if (fstat(descriptor, &held) != 0) return failed("examining");
    if (making == Making::kNever && (!S_ISREG(held.st_mode) || held.st_uid != geteuid())) {
      return absl::NotFoundError(absl::StrCat(path, " is not a file of this user's"));
    }
    int done;
    do {
      done = flock(descriptor, operation);
    } while (done != 0 && errno == EINTR);
    if (done != 0 && errno == EWOULDBLOCK) return std::optional<LockFile>();
    if (done != 0) return failed("locking");
    struct stat there;
    // Who held it before may have removed it.
    if (stat(path.c_str(), &there) == 0 && held.st_ino == there.st_ino &&
        held.st_dev == there.st_dev) {
      return std::optional<LockFile>(std::move(lock));
    }
  }
}

absl::StatusOr<std::optional<LockFile>> LockFile::TryTake(const std::string& path, Kind kind) {
  return Lock(path, LOCK_NB | (kind == Kind::kShared ? LOCK_SH : LOCK_EX));
}

absl::StatusOr<std::optional<LockFile>> LockFile::TryTakeOwn(const std::string& path) {
  return Lock(path, LOCK_NB | LOCK_EX, Making::kNever);
}

absl::StatusOr<LockFile> LockFile::Take(const std::string& path) {
  auto lock = Lock(path, LOCK_EX);
  if (!lock.ok()) return lock.status();
  return **std::move(lock);
}

}  // namespace atelier::worker
