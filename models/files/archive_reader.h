// Reads zip and tar archives of strangers, entry by entry, by libarchive: a whole archive is never
// unpacked, and one that would unpack to far more than it is ends with an error. Entries keep the
// order of the archive, which is the same whenever it is read. Not thread-safe.
#ifndef ATELIER_MODELS_FILES_ARCHIVE_READER_H_
#define ATELIER_MODELS_FILES_ARCHIVE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/files/regular_file.h"

struct archive;

namespace atelier::models {

struct ArchiveEntry {
  enum class Kind {
    kFile,
    kFolder,
    kLink,   // Symbolic or hard.
    kOther,  // A device, a FIFO.
  };

  // As the archive has it, with single slashes between the parts, without `.` parts and without one
  // at the end; bytes of any kind. Never to be used as a path on this machine.
  std::string path;
  Kind kind = Kind::kFile;
};

class ArchiveReader {
 public:
  enum class Packing {
    kZip,
    kTar,     // Also gzipped.
    kSingle,  // One file, plain or gzipped, whose entry is named by the caller.
  };

  // kBadData if the file is no such archive.
  static absl::StatusOr<std::unique_ptr<ArchiveReader>> Open(const std::string& path,
                                                             Packing packing,
                                                             const std::string& single_name);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  // The next entry, until the next call; null after the last one. kBadData where the archive is
  // damaged, truncated or unpacks to too much.
  absl::StatusOr<const ArchiveEntry*> Next();
  // Goes on to an entry that an earlier reading of the archive counted, from 0 on; stays where Next
  // gave that or a later one already. kBadData also where there is none any more.
  absl::Status SkipTo(uint32_t entry);

  // The entry's next bytes, fewer than `size` only at its end. kInvalidArgument, a sentence, where
  // this entry alone cannot be read; kBadData as Next.
  absl::StatusOr<size_t> Read(void* to, size_t size);
  // All of the entry's bytes that are left. kInvalidArgument also for more than `max_bytes`.
  absl::StatusOr<std::string> ReadAll(size_t max_bytes);

 private:
  ArchiveReader(RegularFile file, Packing packing, std::string single_name);

  absl::Status Damaged() const;
  absl::Status CheckUnpacked() const;

  // Constant after construction.
  const RegularFile file_;
  const Packing packing_;
  const std::string single_name_;
  archive* const archive_;

  ArchiveEntry entry_;
  // How many Next gave.
  uint32_t entries_ = 0;
  bool ended_ = false;
  // Of entries; tar's headers and what was skipped count beside it.
  int64_t read_ = 0;
};

// Such a name, as messages can show it: printable UTF-8 of at most about 200 bytes.
std::string PrintableName(absl::string_view name);
// Whether the bytes are UTF-8.
bool IsUtf8(absl::string_view bytes);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_ARCHIVE_READER_H_
