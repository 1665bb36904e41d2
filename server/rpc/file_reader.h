// A plain file, read piece by piece. Waits for the disk.
#ifndef ATELIER_SERVER_RPC_FILE_READER_H_
#define ATELIER_SERVER_RPC_FILE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "models/files/regular_file.h"

namespace atelier::rpc {

// Not thread-safe. Goes on reading the same file when its name comes to mean another one.
class FileReader {
 public:
  // NOT_FOUND if there is no file of that name, INTERNAL if it is no plain file or cannot be read,
  // RESOURCE_EXHAUSTED if too many descriptors are in use.
  static absl::StatusOr<std::unique_ptr<FileReader>> Open(const std::string& path);
  // Bytes from `offset` on, `limit` at most; fewer only at the file's end. INTERNAL.
  absl::StatusOr<std::string> Read(std::int64_t offset, std::size_t limit);

  // Bytes it has now. INTERNAL.
  absl::StatusOr<std::int64_t> Size();

 private:
  FileReader(std::string path, models::RegularFile file)
      : path_(std::move(path)), file_(std::move(file)) {}

  const std::string path_;
  const models::RegularFile file_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_FILE_READER_H_
