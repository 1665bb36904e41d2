// CSV files line by line while they come out of an archive: fields between commas, semicolons or
// tabs, plain or in double quotes, in which lines do not end. Not thread-safe.
#ifndef ATELIER_MODELS_IMPORT_TABLE_READER_H_
#define ATELIER_MODELS_IMPORT_TABLE_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/files/archive_reader.h"

namespace atelier::models {

class TableReader {
 public:
  // `archive` is at the table's entry and must outlive the reader.
  explicit TableReader(ArchiveReader* archive) : archive_(archive) {}

  // The next line that is not empty, without its end, until the next call; false after the last.
  // kBadData.
  absl::StatusOr<bool> Next(absl::string_view* line);
  // Of the line, from 1 on.
  int64_t line_number() const { return line_number_; }

 private:
  absl::StatusOr<bool> NextLine(absl::string_view* line);

  ArchiveReader* const archive_;
  std::string buffer_;
  size_t at_ = 0;
  bool ended_ = false;
  int64_t line_number_ = 0;
};

// What separates the fields of a table, by its first line: the one of , ; and tab that is most
// frequent.
char SeparatorOf(absl::string_view line);

// The fields of a line. Those in quotes keep what is doubled in them.
void SplitFields(absl::string_view line, char separator, std::vector<absl::string_view>* fields);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_TABLE_READER_H_
