#include "models/import/table_reader.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/base/failure.h"

namespace atelier::models {
namespace {

constexpr size_t kPiece = size_t{1} << 18;
// Of the largest images as numbers of four characters.
constexpr size_t kMaxLineBytes = size_t{4} << 20;

}  // namespace

absl::StatusOr<bool> TableReader::NextLine(absl::string_view* line) {
  size_t end = buffer_.find('\n', at_);
  while (end == std::string::npos && !ended_) {
    if (buffer_.size() - at_ > kMaxLineBytes) {
      return Failure(
          FailureReason::kBadData,
          absl::StrCat("line ", line_number_ + 1, " has more than ", kMaxLineBytes, " bytes"));
    }
    buffer_.erase(0, at_);
    at_ = 0;
    const size_t have = buffer_.size();
    buffer_.resize(have + kPiece);
    const absl::StatusOr<size_t> got = archive_->Read(&buffer_[have], kPiece);
    if (!got.ok()) return Failure(FailureReason::kBadData, got.status().message());
    buffer_.resize(have + *got);
    ended_ = *got < kPiece;
    end = buffer_.find('\n', have);
  }
  if (end == std::string::npos) end = buffer_.size();
  if (at_ >= buffer_.size()) return false;
  *line = absl::string_view(buffer_).substr(at_, end - at_);
  at_ = end + 1;
  ++line_number_;
  return true;
}

absl::StatusOr<bool> TableReader::Next(absl::string_view* line) {
  do {
    const absl::StatusOr<bool> more = NextLine(line);
    if (!more.ok() || !*more) return more;
    *line = absl::StripSuffix(*line, "\r");
    if (line_number_ == 1) *line = absl::StripPrefix(*line, "\xef\xbb\xbf");
  } while (absl::StripAsciiWhitespace(*line).empty());
  return true;
}

char SeparatorOf(absl::string_view line) {
  char best = ',';
  int64_t most = 0;
  for (const char separator : {',', ';', '\t'}) {
    const int64_t count = std::count(line.begin(), line.end(), separator);
    if (count > most) best = separator;
    most = std::max(most, count);
  }
  return best;
}

void SplitFields(absl::string_view line, char separator, std::vector<absl::string_view>* fields) {
  fields->clear();
  while (true) {
    size_t end = 0;
    absl::string_view field;
    if (!line.empty() && line[0] == '"') {
      end = line.find('"', 1);
      while (end != absl::string_view::npos && line.substr(end, 2) == "\"\"") {
        end = line.find('"', end + 2);
      }
      end = std::min(end, line.size());
      field = line.substr(1, end - 1);
      end = std::min(line.find(separator, end), line.size());
    } else {
      end = std::min(line.find(separator), line.size());
      field = line.substr(0, end);
    }
    fields->push_back(field);
    if (end == line.size()) return;
    line.remove_prefix(end + 1);
  }
}

}  // namespace atelier::models
