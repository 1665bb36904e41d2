// Tells whether a file is still the one that was read. Thread-safe: a value.
#ifndef ATELIER_MODELS_FILES_FILE_IDENTITY_H_
#define ATELIER_MODELS_FILES_FILE_IDENTITY_H_

#include <cstdint>
#include <optional>
#include <string>

namespace atelier::models {

// Which file a path names at the moment; two of them are equal if it is the same and unchanged.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t size = 0;
  std::int64_t changed_ns = 0;

  // Nothing if there is no such file.
  static std::optional<FileIdentity> Of(const std::string& path);
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_FILE_IDENTITY_H_
