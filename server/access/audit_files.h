// The audit log's files: numbered, appended to and never changed; when one is full the next begins,
// and the oldest goes when there are too many.
#ifndef ATELIER_SERVER_ACCESS_AUDIT_FILES_H_
#define ATELIER_SERVER_ACCESS_AUDIT_FILES_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace atelier::access {

// One thread appends; any may read.
class AuditFiles {
 public:
  struct Options {
    std::string folder;  // Made if it is missing.
    std::int64_t file_bytes = 8 << 20;
    int files = 8;
  };

  // Goes on where the last server ended.
  static absl::StatusOr<std::unique_ptr<AuditFiles>> Open(const Options& options);
  ~AuditFiles();
  AuditFiles(const AuditFiles&) = delete;
  AuditFiles& operator=(const AuditFiles&) = delete;

  // Appends whole lines; they are durable when it returns. Nothing of them is left after an error.
  absl::Status Append(const std::string& lines);

  // The numbers of the files there are, ascending.
  std::vector<std::int64_t> Numbers() const;

  // A file's content; NOT_FOUND if it is gone.
  absl::StatusOr<std::string> Read(std::int64_t number) const;

 private:
  explicit AuditFiles(const Options& options) : options_(options) {}
  std::string PathOf(std::int64_t number) const;
  absl::Status Begin(std::int64_t number);
  void RemoveOld() const;

  const Options options_;
  std::int64_t number_ = 0;
  int descriptor_ = -1;
  std::int64_t size_ = 0;
};

}  // namespace atelier::access

#endif  // ATELIER_SERVER_ACCESS_AUDIT_FILES_H_
