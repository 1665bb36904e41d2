// Lists the image files that paths name; folders are searched recursively. Memory is bounded,
// however many files there are. Used by one thread.
#ifndef ATELIER_CLIENT_FILES_IMAGE_FILES_H_
#define ATELIER_CLIENT_FILES_IMAGE_FILES_H_

#include <cstddef>
#include <filesystem>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::client {

// The server's limit on one file.
inline constexpr std::size_t kMaxImageBytes = std::size_t{10} << 20;

// The bytes of a file. INVALID_ARGUMENT, `path: why`, if it cannot be read, is larger than 10
// MiB, or is no PNG, JPEG or WebP file by its first bytes.
absl::StatusOr<std::string> ReadImageFile(const std::string& path);

// The same from a stream; errors name it `title`.
absl::StatusOr<std::string> ReadImage(std::istream& stream, absl::string_view title);

// Walks paths in their order. In folders, whatever begins with a dot is left out, links to files
// are followed and links to folders are not, so that there are no circles. Names come sorted, in
// folders of more than ten thousand every ten thousand for themselves.
class ImageFiles {
 public:
  struct File {
    std::string path;
    // Why it cannot be an image: an unreadable folder, a device. OK otherwise; the contents are
    // checked when the file is read.
    absl::Status status;
  };

  explicit ImageFiles(std::vector<std::string> paths) : paths_(std::move(paths)) {}

  // Nothing after the last one.
  std::optional<File> Next();

 private:
  // A folder on the way, and the names in it that come next.
  struct Level {
    std::string path;
    std::filesystem::directory_iterator rest;
    std::vector<std::string> names;
    std::size_t next = 0;
  };

  absl::Status Enter(const std::string& folder);
  // The next names of a folder; nothing is left if there are none then.
  absl::Status Refill(Level* level);
  // nullopt for a folder, which is entered or skipped.
  std::optional<File> Look(const std::string& path);

  const std::vector<std::string> paths_;
  std::size_t next_path_ = 0;
  std::vector<Level> levels_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FILES_IMAGE_FILES_H_
