#include "models/import/table_source.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/base/failure.h"
#include "models/import/folder_layout.h"
#include "models/import/label_names.h"
#include "models/import/pixel_table_source.h"
#include "models/import/table_reader.h"

namespace atelier::models {
namespace {

constexpr size_t kNone = static_cast<size_t>(-1);

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

// Columns of a table; kNone where there is none.
struct Columns {
  size_t file = kNone;
  size_t label = kNone;
  size_t split = kNone;
};

Columns ColumnsOf(const std::vector<absl::string_view>& names) {
  constexpr absl::string_view kFile[] = {"file", "filename",   "file_name", "image",
                                         "img",  "image_path", "path",      "filepath",
                                         "id",   "image_id"};
  constexpr absl::string_view kLabel[] = {"label",  "class", "category",
                                          "target", "breed", "labels"};
  constexpr absl::string_view kSplit[] = {"split", "set", "subset", "partition"};
  const auto find = [&](auto& known) {
    for (const absl::string_view word : known) {
      for (size_t i = 0; i < names.size(); ++i) {
        if (absl::AsciiStrToLower(absl::StripAsciiWhitespace(names[i])) == word) return i;
      }
    }
    return kNone;
  };
  return {find(kFile), find(kLabel), find(kSplit)};
}

// Finds pictures by what tables call them.
class PictureIndex {
 public:
  explicit PictureIndex(const Listing& listing) : listing_(listing) {
    for (size_t i = 0; i < listing.files().size(); ++i) {
      const ListedFile& file = listing.files()[i];
      if (file.kind != ListedFile::Kind::kPicture &&
          file.kind != ListedFile::Kind::kDamagedPicture) {
        continue;
      }
      const absl::string_view path = listing.NameOf(file);
      by_path_.try_emplace(path, static_cast<int32_t>(i));
      const auto [name, is_new] =
          by_name_.try_emplace(path.substr(path.rfind('/') + 1), static_cast<int32_t>(i));
      if (!is_new) name->second = -1;
    }
  }

  // A path beside the table, in the archive, or a name that only one picture has; with the
  // picture's suffix or without. Null if there is none.
  const ListedFile* Find(absl::string_view folder, absl::string_view path) const {
    path = absl::StripPrefix(path, "./");
    for (const absl::string_view suffix : {"", ".png", ".jpg", ".jpeg", ".webp"}) {
      for (const absl::string_view before : {folder, absl::string_view()}) {
        const auto found = by_path_.find(absl::StrCat(before, path, suffix));
        if (found != by_path_.end()) return &listing_.files()[static_cast<size_t>(found->second)];
      }
      const auto found = by_name_.find(absl::StrCat(path.substr(path.rfind('/') + 1), suffix));
      if (found != by_name_.end() && found->second >= 0) {
        return &listing_.files()[static_cast<size_t>(found->second)];
      }
    }
    return nullptr;
  }

 private:
  const Listing& listing_;
  absl::flat_hash_map<absl::string_view, int32_t> by_path_;
  // By the path's last part; -1 for those that several have.
  absl::flat_hash_map<absl::string_view, int32_t> by_name_;
};

// Reads the rows of an archive's tables.
class TableRows {
 public:
  TableRows(const Listing& listing, const StopSignal* stop, UnreadableFiles* unreadable)
      : listing_(listing), stop_(stop), unreadable_(unreadable), index_(listing) {}

  absl::Status ReadAll(ArchiveReader* archive) {
    for (const ListedFile& file : listing_.files()) {
      if (file.kind != ListedFile::Kind::kTable) continue;
      absl::Status status = archive->SkipTo(file.entry);
      if (status.ok()) status = Read(archive, listing_.NameOf(file));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  bool any() const { return any_; }
  // In the order of the rows.
  absl::StatusOr<std::vector<PicturePlace>> Finish(SourceContents* contents) {
    if (absl::Status status = labels_.Finish(contents); !status.ok()) return status;
    for (size_t i = 0; i < places_.size(); ++i) places_[i].label = contents->labels[i];
    contents->labels.clear();
    return std::move(places_);
  }

 private:
  absl::Status Read(ArchiveReader* archive, absl::string_view path) {
    TableReader reader(archive);
    absl::string_view line;
    absl::StatusOr<bool> more = reader.Next(&line);
    if (!more.ok() || !*more) return more.status();
    const char separator = SeparatorOf(line);
    std::vector<absl::string_view> fields;
    SplitFields(line, separator, &fields);
    const Columns columns = ColumnsOf(fields);
    if (columns.file == kNone || columns.label == kNone) return absl::OkStatus();
    any_ = true;
    const size_t width = fields.size();
    const absl::string_view folder = path.substr(0, path.rfind('/') + 1);
    while ((more = reader.Next(&line)).ok() && *more) {
      absl::Status status = CheckStop(stop_);
      if (!status.ok()) return status;
      SplitFields(line, separator, &fields);
      status =
          fields.size() == width
              ? Take(folder, SplitOfTable(path), columns, fields)
              : BadData(absl::StrCat("there are ", fields.size(), " columns instead of ", width));
      if (!status.ok()) {
        return BadData(absl::StrCat(PrintableName(path), ": line ", reader.line_number(), ": ",
                                    status.message()));
      }
    }
    return more.status();
  }

  absl::Status Take(absl::string_view folder, std::optional<SourceSplit> split,
                    const Columns& columns, const std::vector<absl::string_view>& fields) {
    if (columns.split != kNone) {
      split = SplitNamed(absl::StripAsciiWhitespace(fields[columns.split]));
      if (!split) {
        return BadData(absl::StrCat("the split is '", PrintableName(fields[columns.split]),
                                    "'; train, val and test are possible"));
      }
    }
    const absl::string_view name = absl::StripAsciiWhitespace(fields[columns.file]);
    const ListedFile* const file = index_.Find(folder, name);
    if (file == nullptr) {
      unreadable_->Add(PrintableName(name), "a table names it, but it is not there");
      return absl::OkStatus();
    }
    // Counted before.
    if (file->kind == ListedFile::Kind::kDamagedPicture) return absl::OkStatus();
    const auto at = static_cast<uint32_t>(file - listing_.files().data());
    if (!taken_.try_emplace(at, true).second) {
      return BadData(absl::StrCat("'", PrintableName(name), "' stood in a row before"));
    }
    places_.push_back({at, 0, split.value_or(SourceSplit::kTraining)});
    return labels_.Add(fields[columns.label]);
  }

  const Listing& listing_;
  const StopSignal* const stop_;
  UnreadableFiles* const unreadable_;
  const PictureIndex index_;
  bool any_ = false;
  std::vector<PicturePlace> places_;
  absl::flat_hash_map<uint32_t, bool> taken_;
  LabelColumn labels_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PictureSource>> SourceByTable(Listing* listing, OpenArchive open,
                                                             const StopSignal* stop,
                                                             UnreadableFiles* unreadable) {
  if (listing->Count(ListedFile::Kind::kTable) == 0) return nullptr;
  absl::StatusOr<std::unique_ptr<ArchiveReader>> archive = open();
  if (!archive.ok()) return archive.status();
  TableRows rows(*listing, stop, unreadable);
  if (absl::Status status = rows.ReadAll(archive->get()); !status.ok()) return status;
  if (!rows.any()) return nullptr;
  SourceContents contents;
  absl::StatusOr<std::vector<PicturePlace>> places = rows.Finish(&contents);
  if (!places.ok()) return places.status();
  const int64_t left_out =
      listing->Count(ListedFile::Kind::kPicture) - static_cast<int64_t>(places->size());
  if (left_out > 0) {
    contents.warnings.push_back(
        absl::StrCat(left_out, " pictures stand in no table and were left out."));
  }
  contents.format = absl::StrCat("pictures listed in a CSV file, ", listing->PictureFormats());
  return std::make_unique<PictureSource>(std::move(*listing), std::move(open), *std::move(places),
                                         std::move(contents));
}

}  // namespace atelier::models
