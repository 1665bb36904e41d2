// A file that gets its name only when it is complete. Used by one thread.
#ifndef ATELIER_CLIENT_FILES_NEW_FILE_H_
#define ATELIER_CLIENT_FILES_NEW_FILE_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::client {

class NewFile {
 public:
  // Creates a file with a temporary name in the folder of `path`.
  static absl::StatusOr<NewFile> Create(const std::string& path);

  NewFile(NewFile&& other) noexcept
      : path_(std::move(other.path_)),
        passing_path_(std::exchange(other.passing_path_, "")),
        descriptor_(std::exchange(other.descriptor_, -1)) {}
  NewFile& operator=(NewFile&&) = delete;
  // Removes the file unless it was committed.
  ~NewFile();

  absl::Status Write(absl::string_view data);

  // Syncs and renames the file. ALREADY_EXISTS if there is a file of that name and
  // `replace` is false.
  absl::Status Commit(bool replace);

 private:
  NewFile(std::string path, std::string passing_path, int descriptor)
      : path_(std::move(path)), passing_path_(std::move(passing_path)), descriptor_(descriptor) {}

  std::string path_;
  // Empty once there is nothing to remove.
  std::string passing_path_;
  int descriptor_;
};

// ALREADY_EXISTS for this path.
absl::Status FileExists(absl::string_view path);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FILES_NEW_FILE_H_
