#include "server/worker/own_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace atelier::worker {

absl::Status MakeOwnFolder(const std::string& folder) {
  // With a slash at its end a link would be followed.
  const std::string path = folder.substr(0, folder.find_last_not_of('/') + 1);
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  struct stat about;
  if ((mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) || lstat(path.c_str(), &about) != 0) {
    return absl::UnknownError(absl::StrCat("making ", path, ": ", std::strerror(errno)));
  }
  const auto refused = [&](const std::string& what) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " ", what, "; it has to be a folder of the user who runs workers (UID ",
                     geteuid(), ") that nobody else may write to, such as mode 0700"));
  };
  if (S_ISLNK(about.st_mode)) return refused("is a symbolic link");
  if (!S_ISDIR(about.st_mode)) return refused("is no folder");
  if (about.st_uid != geteuid()) return refused(absl::StrCat("belongs to UID ", about.st_uid));
  if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return refused(absl::StrFormat("has mode %04o", about.st_mode & 07777));
  }
  return absl::OkStatus();
}

}  // namespace atelier::worker
