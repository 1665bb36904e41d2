#include "models/files/file_identity.h"

#include <sys/stat.h>

namespace atelier::models {

std::optional<FileIdentity> FileIdentity::Of(const std::string& path) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) return std::nullopt;
  return FileIdentity{file.st_dev, file.st_ino, file.st_size,
                      file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec};
}

}  // namespace atelier::models
