// A plain file, read piece by piece. Waits for the disk.
#ifndef ATELIER_SERVER_RPC_FILE_READER_H_
#define ATELIER_SERVER_RPC_FILE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace atelier::rpc {

// Not thread-safe. Goes on reading the same file when its name comes to mean another one.
class FileReader {
 public:
  // NOT_FOUND if there is no file of that name, INTERNAL if it cannot be read.
  static absl::StatusOr<std::unique_ptr<FileReader>> Open(const std::string& path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  // Bytes from `offset` on, `limit` at most; fewer only at the file's end. INTERNAL.
  absl::StatusOr<std::string> Read(std::int64_t offset, std::size_t limit);

  // Bytes it has now. INTERNAL.
  absl::StatusOr<std::int64_t> Size();

 private:
  FileReader(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  const std::string path_;
  const int fd_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_FILE_READER_H_
