#include "models/files/archive_reader.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "models/base/failure.h"

namespace atelier::models {
namespace {

constexpr size_t kBlockBytes = size_t{1} << 17;
// What an archive may unpack to: this much, and so many times its own size. Text of numbers packs
// to a tenth, zeros to a thousandth.
constexpr int64_t kMaxUnpacked = int64_t{1} << 28;
constexpr int64_t kMaxRatio = 200;
constexpr size_t kMaxShown = 200;

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

ArchiveEntry::Kind KindOf(archive_entry* entry) {
  // Hard links count as plain files but carry a target.
  if (archive_entry_hardlink(entry) != nullptr) return ArchiveEntry::Kind::kLink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return ArchiveEntry::Kind::kFile;
    case AE_IFDIR:
      return ArchiveEntry::Kind::kFolder;
    case AE_IFLNK:
      return ArchiveEntry::Kind::kLink;
    default:
      return ArchiveEntry::Kind::kOther;
  }
}

std::string PathOf(archive_entry* entry) {
  // Where the locale cannot show a name, one of the two is null.
  const char* name = archive_entry_pathname_utf8(entry);
  if (name == nullptr) name = archive_entry_pathname(entry);
  if (name == nullptr) return "";
  const absl::string_view path(name);
  std::vector<absl::string_view> parts = absl::StrSplit(path, '/', absl::SkipEmpty());
  parts.erase(std::remove(parts.begin(), parts.end(), "."), parts.end());
  return absl::StrCat(path.substr(0, 1) == "/" ? "/" : "", absl::StrJoin(parts, "/"));
}

bool IsContinuation(absl::string_view bytes, size_t at) {
  return at < bytes.size() && (static_cast<uint8_t>(bytes[at]) & 0xc0) == 0x80;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ArchiveReader>> ArchiveReader::Open(const std::string& path,
                                                                   Packing packing,
                                                                   const std::string& single_name) {
  absl::StatusOr<RegularFile> file = RegularFile::Open(path);
  if (!file.ok()) return Failure(FailureReason::kInternal, file.status().message());
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader(*std::move(file), packing, single_name));
  archive* const a = reader->archive_;
  if (a == nullptr) return Failure(FailureReason::kOutOfMemory, "there is no memory left");
  bool good = true;
  switch (packing) {
    case Packing::kZip:
      // By its directory alone: a reader that streams could see other entries.
      good = archive_read_support_format_zip_seekable(a) == ARCHIVE_OK;
      break;
    case Packing::kTar:
      good = archive_read_support_format_tar(a) == ARCHIVE_OK;
      break;
    case Packing::kSingle:
      good = archive_read_support_format_raw(a) == ARCHIVE_OK;
      break;
  }
  if (packing != Packing::kZip) good = good && archive_read_support_filter_gzip(a) == ARCHIVE_OK;
  if (!good || archive_read_open_fd(a, reader->file_.descriptor(), kBlockBytes) != ARCHIVE_OK) {
    return reader->Damaged();
  }
  return reader;
}

ArchiveReader::ArchiveReader(RegularFile file, Packing packing, std::string single_name)
    : file_(std::move(file)),
      packing_(packing),
      single_name_(std::move(single_name)),
      archive_(archive_read_new()) {}

ArchiveReader::~ArchiveReader() { archive_read_free(archive_); }

absl::Status ArchiveReader::Damaged() const {
  const char* text = archive_error_string(archive_);
  const std::string where =
      entry_.path.empty() ? "" : absl::StrCat(" at its entry ", PrintableName(entry_.path));
  return BadData(absl::StrCat("it is damaged or truncated", where, ": ",
                              text == nullptr ? "it cannot be read" : text));
}

absl::Status ArchiveReader::CheckUnpacked() const {
  const int64_t streamed = packing_ == Packing::kZip ? 0 : archive_filter_bytes(archive_, 0);
  const int64_t limit = kMaxUnpacked + kMaxRatio * file_.size();
  if (std::max(read_, streamed) <= limit) return absl::OkStatus();
  return BadData(absl::StrCat("it unpacks to more than ", limit, " bytes, of a file of ",
                              file_.size(), "; archives of that kind are refused"));
}

absl::StatusOr<const ArchiveEntry*> ArchiveReader::Next() {
  if (ended_) return nullptr;
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(archive_, &entry);
  // What was left of the entry before is unpacked by now.
  if (absl::Status status = CheckUnpacked(); !status.ok()) return status;
  if (result == ARCHIVE_EOF) {
    ended_ = true;
    return nullptr;
  }
  // A warning is of names that the locale cannot show.
  if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return Damaged();
  entry_.path = packing_ == Packing::kSingle ? single_name_ : PathOf(entry);
  entry_.kind = packing_ == Packing::kSingle ? ArchiveEntry::Kind::kFile : KindOf(entry);
  ++entries_;
  return &entry_;
}

absl::Status ArchiveReader::SkipTo(uint32_t entry) {
  while (entries_ <= entry) {
    const absl::StatusOr<const ArchiveEntry*> next = Next();
    if (!next.ok()) return next.status();
    if (*next == nullptr) return BadData("it changed while it was read");
  }
  return absl::OkStatus();
}

absl::StatusOr<size_t> ArchiveReader::Read(void* to, size_t size) {
  size_t have = 0;
  while (have < size) {
    const la_ssize_t got = archive_read_data(archive_, static_cast<char*>(to) + have,
                                             std::min(size - have, kBlockBytes));
    if (got == ARCHIVE_FATAL) return Damaged();
    if (got == ARCHIVE_RETRY) continue;
    if (got < 0) {
      const char* text = archive_error_string(archive_);
      return absl::InvalidArgumentError(
          absl::StrCat("it cannot be unpacked: ", text == nullptr ? "damaged" : text));
    }
    if (got == 0) break;
    have += static_cast<size_t>(got);
    read_ += got;
    if (absl::Status status = CheckUnpacked(); !status.ok()) return status;
  }
  return have;
}

absl::StatusOr<std::string> ArchiveReader::ReadAll(size_t max_bytes) {
  std::string bytes;
  size_t step = size_t{1} << 14;
  while (bytes.size() <= max_bytes) {
    const size_t have = bytes.size();
    bytes.resize(have + step);
    const absl::StatusOr<size_t> got = Read(&bytes[have], step);
    if (!got.ok()) return got.status();
    bytes.resize(have + *got);
    if (*got < step) return bytes;
    step = std::min(2 * step, size_t{1} << 22);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("it has more than the ", max_bytes, " bytes that are accepted"));
}

bool IsUtf8(absl::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const auto first = static_cast<uint8_t>(bytes[i]);
    const size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first >= 0x80 && (first < 0xc2 || first > 0xf4)) return false;
    for (size_t k = 1; k < length; ++k) {
      if (!IsContinuation(bytes, i + k)) return false;
    }
    if (length > 2) {
      const auto second = static_cast<uint8_t>(bytes[i + 1]);
      // Longer than need be, surrogates, beyond Unicode.
      if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
          (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) {
        return false;
      }
    }
    i += length;
  }
  return true;
}

std::string PrintableName(absl::string_view name) {
  const bool shortened = name.size() > kMaxShown;
  name = name.substr(0, kMaxShown);
  // Not within a character.
  while (shortened && !name.empty() && !IsUtf8(name) && kMaxShown - name.size() < 4) {
    name.remove_suffix(1);
  }
  return absl::StrCat(IsUtf8(name) ? absl::Utf8SafeCEscape(name) : absl::CEscape(name),
                      shortened ? "…" : "");
}

}  // namespace atelier::models
