#include "client/files/new_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "client/terminal/display_text.h"
#include "models/files/file_io.h"

namespace atelier::client {
namespace {

absl::Status SystemError(absl::string_view what, absl::string_view path) {
  // Not FAILED_PRECONDITION or NOT_FOUND: those mean something else to the caller.
  return absl::InternalError(absl::StrCat(what, " ", EscapeControls(path), ": ",
                                          std::generic_category().message(errno), "."));
}

}  // namespace

absl::Status FileExists(absl::string_view path) {
  return absl::AlreadyExistsError(
      absl::StrCat("The file ", EscapeControls(path), " exists; --force replaces it."));
}

absl::StatusOr<NewFile> NewFile::Create(const std::string& path) {
  // A device, a pipe or a folder of that name is not ours to put a file in the place of.
  struct stat there = {};
  if (stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(EscapeControls(path), " is not a regular file; name another with -o."));
  }
  std::string passing = path + ".part-XXXXXX";
  const int descriptor = mkostemp(passing.data(), O_CLOEXEC);
  if (descriptor < 0) return SystemError("Cannot create", path);
  NewFile file(path, passing, descriptor);
  // mkostemp makes files for their owner alone; this one shall be as any other.
  const mode_t mask = umask(0);
  umask(mask);
  if (fchmod(descriptor, 0666 & ~mask) != 0) return SystemError("Cannot create", path);
  return file;
}

NewFile::~NewFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!passing_path_.empty()) unlink(passing_path_.c_str());
}

absl::Status NewFile::Write(absl::string_view data) {
  return models::WriteAll(descriptor_, data) ? absl::OkStatus()
                                             : SystemError("Cannot write", path_);
}

absl::Status NewFile::Commit(bool replace) {
  if (fsync(descriptor_) != 0) return SystemError("Cannot write", path_);
  // A link is refused where a file of the name exists, also one that came while we were writing.
  if (replace) {
    if (rename(passing_path_.c_str(), path_.c_str()) != 0) {
      return SystemError("Cannot create", path_);
    }
    passing_path_.clear();
  } else if (link(passing_path_.c_str(), path_.c_str()) != 0) {
    return errno == EEXIST ? FileExists(path_) : SystemError("Cannot create", path_);
  }
  // The file is there; a folder that cannot be synced changes nothing of that.
  static_cast<void>(models::SyncPath(models::FolderOf(path_)));
  return absl::OkStatus();
}

}  // namespace atelier::client
