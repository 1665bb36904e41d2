#include "models/import/listing.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "models/base/check_stop.h"
#include "models/base/failure.h"
#include "models/files/known_formats.h"
#include "models/pictures/picture_decoders.h"

namespace atelier::models {
namespace {

using Kind = ListedFile::Kind;

// Enough to tell any format.
constexpr size_t kBeginning = 512;
constexpr size_t kMaxPathBytes = 4096;
constexpr size_t kMaxNameBytes = size_t{1} << 28;
constexpr size_t kMaxFolders = 10'000;

bool IsHidden(absl::string_view path) {
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    // "..", which is no hiding place, is refused elsewhere.
    if ((absl::StartsWith(part, ".") && part != "..") || part == "__MACOSX" ||
        part == "Thumbs.db" || part == "desktop.ini" || part == "@eaDir") {
      return true;
    }
  }
  return false;
}

// Why the entry is not read; empty if it is.
absl::string_view Refusal(const ArchiveEntry& entry) {
  if (entry.kind == ArchiveEntry::Kind::kLink) return "it is a link; links are not followed";
  if (entry.kind == ArchiveEntry::Kind::kOther) return "it is no plain file";
  if (entry.path.empty()) return "it has no name";
  if (entry.path[0] == '/') return "its path is absolute";
  if (entry.path.size() > kMaxPathBytes) return "its path has more than 4,096 bytes";
  for (const absl::string_view part : absl::StrSplit(entry.path, '/')) {
    if (part == "..") return "its path leads out of the archive";
  }
  return "";
}

bool IsNamedAsPicture(absl::string_view lower) {
  // Those of formats that are not read among them: they are told of, not passed over.
  constexpr absl::string_view kEnds[] = {".png", ".jpg", ".jpeg", ".webp", ".bmp",
                                         ".gif", ".tif", ".tiff", ".heic", ".avif"};
  return std::any_of(std::begin(kEnds), std::end(kEnds),
                     [&](absl::string_view end) { return absl::EndsWith(lower, end); });
}

// As IDX files are named, gzipped or not.
bool IsNamedAsIdx(absl::string_view lower) {
  lower = absl::StripSuffix(lower, ".gz");
  return absl::StrContains(lower, "idx") &&
         (absl::EndsWith(lower, "ubyte") || absl::EndsWith(lower, "idx2-int"));
}

Kind KindOf(absl::string_view lower, absl::string_view beginning) {
  if (absl::StartsWith(beginning, "\x93NUMPY")) return Kind::kArray;
  if (IsNamedAsIdx(lower)) return Kind::kIdx;
  if (absl::EndsWith(lower, ".csv") || absl::EndsWith(lower, ".tsv")) return Kind::kTable;
  if (absl::EndsWith(lower, ".bin")) return Kind::kBinary;
  return Kind::kOther;
}

}  // namespace

absl::Status CheckStop(const StopSignal* stop) { return models::CheckStop(stop, "importing"); }

absl::StatusOr<Listing> Listing::Read(ArchiveReader* archive, const StopSignal* stop,
                                      UnreadableFiles* unreadable) {
  Listing listing;
  for (uint32_t number = 0;; ++number) {
    if (absl::Status status = CheckStop(stop); !status.ok()) return status;
    const absl::StatusOr<const ArchiveEntry*> entry = archive->Next();
    if (!entry.ok()) return entry.status();
    if (*entry == nullptr) return listing;
    absl::Status status = listing.Add(**entry, number, archive, unreadable);
    if (!status.ok()) return status;
  }
}

absl::Status Listing::Add(const ArchiveEntry& entry, uint32_t number, ArchiveReader* archive,
                          UnreadableFiles* unreadable) {
  if (IsHidden(entry.path)) return absl::OkStatus();
  if (entry.kind == ArchiveEntry::Kind::kFolder) {
    const bool kept = folders_.size() < kMaxFolders && entry.path.size() <= kMaxPathBytes;
    if (kept) folders_.push_back(entry.path);
    return absl::OkStatus();
  }
  if (const absl::string_view refusal = Refusal(entry); !refusal.empty()) {
    unreadable->Add(PrintableName(entry.path), refusal);
    return absl::OkStatus();
  }
  if (files_.size() >= static_cast<size_t>(kMaxSourceImages) ||
      names_.size() + entry.path.size() > kMaxNameBytes) {
    return Failure(FailureReason::kBadData,
                   absl::StrCat("it has more files than are accepted: ", kMaxSourceImages,
                                " with paths of ", kMaxNameBytes, " bytes in all"));
  }
  ListedFile file;
  file.entry = number;
  file.name_at = names_.size();
  file.name_size = static_cast<uint32_t>(entry.path.size());
  names_ += entry.path;
  if (absl::Status status = Examine(entry.path, archive, unreadable, &file); !status.ok()) {
    return status;
  }
  ++counts_[static_cast<size_t>(file.kind)];
  files_.push_back(file);
  return absl::OkStatus();
}

absl::Status Listing::Examine(const std::string& path, ArchiveReader* archive,
                              UnreadableFiles* unreadable, ListedFile* file) {
  const std::string lower = absl::AsciiStrToLower(path);
  std::string beginning(kBeginning, '\0');
  const absl::StatusOr<size_t> got = archive->Read(beginning.data(), beginning.size());
  const bool damaged = absl::IsInvalidArgument(got.status());
  if (!got.ok() && !damaged) return got.status();
  beginning.resize(got.value_or(0));
  if (IsNamedAsPicture(lower) || BeginsAsPicture(beginning)) {
    if (!damaged) return ExaminePicture(path, std::move(beginning), archive, unreadable, file);
    file->kind = Kind::kDamagedPicture;
    unreadable->Add(PrintableName(path), got.status().message());
    return absl::OkStatus();
  }
  file->kind = KindOf(lower, beginning);
  const absl::string_view known = KnownByBeginning(beginning);
  if (file->kind == Kind::kOther && hint_.empty() && !known.empty()) {
    hint_ = absl::StrCat(PrintableName(path), ": ", known);
  }
  return absl::OkStatus();
}

absl::Status Listing::ExaminePicture(const std::string& path, std::string beginning,
                                     ArchiveReader* archive, UnreadableFiles* unreadable,
                                     ListedFile* file) {
  std::string bytes = std::move(beginning);
  absl::Status problem;
  if (bytes.size() == kBeginning) {
    const absl::StatusOr<std::string> rest =
        archive->ReadAll(static_cast<size_t>(kPictureLimits.max_bytes) - bytes.size());
    if (!rest.ok() && !absl::IsInvalidArgument(rest.status())) return rest.status();
    if (rest.ok()) bytes += *rest;
    problem = rest.status();
  }
  if (problem.ok() && bytes.empty()) {
    problem = absl::InvalidArgumentError("the picture is empty (zero bytes)");
  }
  if (problem.ok()) {
    const absl::StatusOr<PictureHeader> header = ReadPictureHeader(bytes);
    problem = header.status();
    if (header.ok()) problem = CheckPictureSize(header->height, header->width, kPictureLimits);
    if (problem.ok()) {
      *file = {file->entry,
               static_cast<uint16_t>(header->height),
               static_cast<uint16_t>(header->width),
               static_cast<uint8_t>(header->channels),
               Kind::kPicture,
               file->name_size,
               file->name_at};
      ++formats_[std::string(header->format)];
      return absl::OkStatus();
    }
    // What it is instead says more than that it is no picture.
    const absl::string_view known = KnownByBeginning(bytes);
    if (!known.empty()) problem = absl::InvalidArgumentError(known);
  }
  file->kind = Kind::kDamagedPicture;
  unreadable->Add(PrintableName(path), problem.message());
  return absl::OkStatus();
}

std::string Listing::PictureFormats() const {
  std::vector<std::pair<int64_t, std::string>> counts;
  for (const auto& [format, count] : formats_) counts.emplace_back(-count, format);
  std::sort(counts.begin(), counts.end());
  std::vector<std::string> names;
  for (const auto& [count, format] : counts) names.push_back(format);
  if (names.size() < 2) return absl::StrJoin(names, "");
  const std::string last = std::move(names.back());
  names.pop_back();
  return absl::StrCat(absl::StrJoin(names, ", "), " and ", last);
}

}  // namespace atelier::models
