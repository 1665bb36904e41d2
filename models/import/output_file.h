// The packed file while an import writes it: at any place, by several threads at once. Removed when
// it goes out of scope unless it was kept.
#ifndef ATELIER_MODELS_IMPORT_OUTPUT_FILE_H_
#define ATELIER_MODELS_IMPORT_OUTPUT_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace atelier::models {

// Read and Write are thread-safe for places that do not overlap. Errors are kInternal and name the
// file.
class OutputFile {
 public:
  // An error if there is such a file.
  static absl::StatusOr<OutputFile> Create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept
      : path_(std::exchange(other.path_, "")), descriptor_(std::exchange(other.descriptor_, -1)) {}
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  absl::Status Write(int64_t at, absl::Span<const uint8_t> bytes) const;
  // Has the disk begin with bytes that will not change any more, so that Keep waits for little. A
  // hint, which never fails.
  void BeginSync(int64_t at, int64_t bytes) const;
  // The bytes must be there.
  absl::Status Read(int64_t at, absl::Span<uint8_t> bytes) const;
  // Syncs and closes it; the file stays.
  absl::Status Keep();

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }

 private:
  OutputFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;  // Empty once it was kept or moved away.
  int descriptor_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_OUTPUT_FILE_H_
