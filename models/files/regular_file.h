// A plain file that is open for reading. Whatever else lies in its place (a folder, a FIFO at which
// opening would wait for a writer, a device that never ends) is refused with words that say what it
// is, so nothing that strangers put beside honest files holds up a thread.
#ifndef ATELIER_MODELS_FILES_REGULAR_FILE_H_
#define ATELIER_MODELS_FILES_REGULAR_FILE_H_

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace atelier::models {

// Movable; the descriptor is closed with it. Read may be called from several threads.
class RegularFile {
 public:
  // NOT_FOUND if nothing is there, FAILED_PRECONDITION if it is no plain file, RESOURCE_EXHAUSTED
  // if the process has no descriptor or memory left for it, UNAVAILABLE with the system's words if
  // it cannot be opened otherwise. Messages name the file.
  static absl::StatusOr<RegularFile> Open(const std::string& path);

  RegularFile(RegularFile&& other) noexcept;
  RegularFile& operator=(RegularFile&& other) noexcept;
  ~RegularFile();

  int descriptor() const { return descriptor_; }
  // As it was when the file was opened.
  const struct stat& about() const { return about_; }
  int64_t size() const { return about_.st_size; }

  // Reads from `offset` on, fewer than `size` bytes only at the file's end, and says how many.
  // UNAVAILABLE.
  absl::StatusOr<size_t> Read(int64_t offset, void* to, size_t size) const;
  // As Read; OUT_OF_RANGE if the file ends before that.
  absl::Status ReadExactly(int64_t offset, void* to, size_t size) const;

  // Gives the descriptor away, to be closed by who takes it.
  int Release();

 private:
  RegularFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
  struct stat about_ = {};
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_REGULAR_FILE_H_
