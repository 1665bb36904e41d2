// What is uploaded, as one sequence of bytes: a single file as it is, or a folder or several paths
// as a tar archive that is never written anywhere. The same files always make the same bytes: names
// are sorted, times and owners left out. Any part of it can be read at any time, so an upload can
// go on where it ended. Used by one thread.
#ifndef ATELIER_CLIENT_FILES_UPLOAD_SOURCE_H_
#define ATELIER_CLIENT_FILES_UPLOAD_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/files/regular_file.h"

namespace atelier::client {

class UploadSource {
 public:
  // Looks at every file. INVALID_ARGUMENT that names the first one that cannot be sent: missing,
  // unreadable, a link or a device within a folder, a name in two places. Hidden files and folders
  // within a folder are left out.
  static absl::StatusOr<UploadSource> Open(const std::vector<std::string>& paths);

  UploadSource(UploadSource&&) = default;
  UploadSource& operator=(UploadSource&&) = delete;

  std::int64_t size() const { return size_; }
  // How many files it has.
  std::size_t files() const { return entries_.size(); }
  // What the server is told it is called: the path's last part.
  const std::string& name() const { return name_; }

  // `size` bytes from `offset` on, which must be in range. INVALID_ARGUMENT that names a file which
  // cannot be read any more or has become shorter.
  absl::Status Read(std::int64_t offset, char* to, std::size_t size);

  // The SHA-256 of all of it. `progress` is told how many bytes were read; once `interrupted`
  // answers true the result is CANCELLED.
  absl::StatusOr<std::string> Sha256(const std::function<void(std::int64_t)>& progress,
                                     const std::function<bool()>& interrupted);

 private:
  struct Entry {
    std::string path;
    std::string name;        // In the archive; empty for a single file, which has no header.
    std::int64_t size = 0;   // Of the file.
    std::int64_t begin = 0;  // Of its header.
    std::int64_t data = 0;   // Of its bytes.
  };

  UploadSource() = default;
  absl::Status AddFolder(const std::string& folder, const std::string& prefix);
  absl::Status AddFile(const std::string& path, const std::string& name);
  // Sorts, and gives every entry its place.
  absl::Status Arrange();
  // Copies what an entry has from `offset` on, at most `size` bytes; returns how many.
  absl::StatusOr<std::size_t> ReadEntry(const Entry& entry, std::int64_t offset, char* to,
                                        std::size_t size);

  std::string name_;
  std::int64_t size_ = 0;
  std::vector<Entry> entries_;
  // The file that was read last.
  const Entry* open_entry_ = nullptr;
  std::optional<models::RegularFile> open_file_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FILES_UPLOAD_SOURCE_H_
