// The folder in which a server keeps everything: made, checked and locked against a second server.
#ifndef ATELIER_SERVER_STORE_DATA_DIRECTORY_H_
#define ATELIER_SERVER_STORE_DATA_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::store {

// Immutable, hence thread-safe. Holds the lock until it is destroyed or the process ends, however
// it ends; processes started meanwhile do not inherit it.
class DataDirectory {
 public:
  // Makes the folder if it is missing. FAILED_PRECONDITION if another server uses it (names its
  // process id), PERMISSION_DENIED if it is not writable, INVALID_ARGUMENT if it is no folder.
  static absl::StatusOr<std::unique_ptr<DataDirectory>> Open(absl::string_view path);
  ~DataDirectory();
  DataDirectory(const DataDirectory&) = delete;
  DataDirectory& operator=(const DataDirectory&) = delete;

  const std::string& path() const { return path_; }  // Absolute.
  std::string database_path() const { return path_ + "/atelier.db"; }

 private:
  DataDirectory(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  const std::string path_;
  const int lock_fd_;
};

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_DATA_DIRECTORY_H_
