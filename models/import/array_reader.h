// Gives the items of an array, along its first dimension, one after the other as rows in C's order,
// while it comes out of an archive. An array in Fortran's order, whose items lie scattered, is
// unpacked into a file first. Not thread-safe.
#ifndef ATELIER_MODELS_IMPORT_ARRAY_READER_H_
#define ATELIER_MODELS_IMPORT_ARRAY_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/files/archive_reader.h"
#include "models/import/npy.h"
#include "models/import/output_file.h"

namespace atelier::models {

class ArrayReader {
 public:
  // `archive` is behind the array's header; it must outlive the reader. Names what is unpacked
  // `scratch`; kBadData if that has more than `max_bytes`.
  static absl::StatusOr<std::unique_ptr<ArrayReader>> Open(ArchiveReader* archive,
                                                           const NpyHeader& header,
                                                           const std::string& scratch,
                                                           int64_t max_bytes);

  // The bytes of the next item. kBadData if the array ends before.
  absl::StatusOr<std::string> Next();

 private:
  ArrayReader(ArchiveReader* archive, NpyHeader header);

  absl::Status Unpack(const std::string& scratch, int64_t max_bytes);
  // Gathers the items from next_ on.
  absl::Status ReadBlock();

  // Constant after opening.
  ArchiveReader* const archive_;
  const NpyHeader header_;
  size_t item_numbers_ = 1;
  std::optional<OutputFile> unpacked_;

  int64_t next_ = 0;
  // Items from block_first_ on.
  std::string block_;
  int64_t block_first_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_ARRAY_READER_H_
