#include "models/import/folder_layout.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "models/base/class_label.h"
#include "models/base/failure.h"
#include "models/base/import_limits.h"
#include "models/import/natural_order.h"

namespace atelier::models {
namespace {

using Kind = ListedFile::Kind;

constexpr size_t kNamed = 3;

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

bool IsPicture(const ListedFile& file) {
  return file.kind == Kind::kPicture || file.kind == Kind::kDamagedPicture;
}

// Takes the path's first folder; empty if there is none left.
absl::string_view TakeFolder(absl::string_view* path) {
  const size_t slash = path->find('/');
  if (slash == absl::string_view::npos) return "";
  const absl::string_view folder = path->substr(0, slash);
  path->remove_prefix(slash + 1);
  return folder;
}

absl::string_view BaseName(absl::string_view path) {
  // Without a slash npos + 1 is 0.
  return path.substr(path.rfind('/') + 1);
}

std::string Quoted(absl::string_view name) { return absl::StrCat("'", PrintableName(name), "'"); }

absl::Status CheckClassName(const std::string& name) {
  if (name.empty() || name.size() > kMaxClassNameBytes) {
    return BadData(absl::StrCat("the class name ", Quoted(name), " has ", name.size(),
                                " bytes; 1 to ", kMaxClassNameBytes, " are possible"));
  }
  if (!IsUtf8(name)) {
    return BadData(absl::StrCat("the class name ", Quoted(name), " is not UTF-8; rename it"));
  }
  if (std::any_of(name.begin(), name.end(), [](char c) { return absl::ascii_iscntrl(c); })) {
    return BadData(
        absl::StrCat("the class name ", Quoted(name), " holds a control character; rename it"));
  }
  return absl::OkStatus();
}

}  // namespace

std::optional<SourceSplit> SplitNamed(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  if (lower == "train" || lower == "training") return SourceSplit::kTraining;
  if (lower == "val" || lower == "valid" || lower == "validation") return SourceSplit::kValidation;
  if (lower == "test" || lower == "testing") return SourceSplit::kTest;
  return std::nullopt;
}

absl::Status CheckClassNames(const std::vector<std::string>& names) {
  if (names.size() < 2) {
    return BadData(absl::StrCat("there is only one class",
                                names.empty() ? "" : absl::StrCat(", ", Quoted(names[0])),
                                "; at least two are needed"));
  }
  if (names.size() > size_t{kMaxClasses}) {
    return BadData(absl::StrCat("there are ", names.size(), " classes (", Quoted(names[0]), ", ",
                                Quoted(names[1]), ", …); at most ", kMaxClasses, " are accepted"));
  }
  std::map<std::string, std::string> lower;
  for (const std::string& name : names) {
    if (absl::Status status = CheckClassName(name); !status.ok()) return status;
    const auto [other, is_new] = lower.try_emplace(absl::AsciiStrToLower(name), name);
    if (is_new) continue;
    return BadData(absl::StrCat("the classes ", Quoted(other->second), " and ", Quoted(name),
                                " differ in nothing but upper and lower case; rename or join "
                                "them"));
  }
  return absl::OkStatus();
}

absl::StatusOr<FolderLayout> FolderLayout::Of(const Listing& listing) {
  FolderLayout layout(listing);
  layout.FindCommonFolders();
  absl::Status status = layout.FindSplits();
  if (status.ok()) status = layout.FindClasses();
  if (status.ok()) status = layout.CheckEmptyFolders();
  if (status.ok()) status = CheckClassNames(layout.class_names_);
  if (!status.ok()) return status;
  layout.WarnOfOtherFiles();
  return layout;
}

void FolderLayout::FindCommonFolders() {
  bool first = true;
  absl::string_view common;
  for (const ListedFile& file : listing_->files()) {
    if (!IsPicture(file)) continue;
    const absl::string_view name = listing_->NameOf(file);
    if (std::exchange(first, false)) common = name.substr(0, name.size() - BaseName(name).size());
    size_t same = 0;
    size_t folders = 0;
    for (; same < std::min(common.size(), name.size()) && common[same] == name[same]; ++same) {
      if (common[same] == '/') folders = same + 1;
    }
    common = common.substr(0, folders);
  }
  common_ = std::string(common);
}

absl::Status FolderLayout::FindSplits() {
  // How many pictures have a split as their first folder, and as their second.
  int64_t above = 0;
  int64_t below = 0;
  int64_t pictures = 0;
  absl::string_view split;
  absl::string_view other;
  for (const ListedFile& file : listing_->files()) {
    if (!IsPicture(file)) continue;
    ++pictures;
    absl::string_view path = listing_->NameOf(file).substr(common_.size());
    const absl::string_view first = TakeFolder(&path);
    (SplitNamed(first) ? split : other) = SplitNamed(first) ? first : listing_->NameOf(file);
    above += SplitNamed(first).has_value();
    below += SplitNamed(TakeFolder(&path)).has_value();
  }
  if (above > 0 && above < pictures) {
    return BadData(absl::StrCat("the folder ", Quoted(split), " is a split, but ", Quoted(other),
                                " is beside it, in none; put every picture into train, val or "
                                "test"));
  }
  splits_ = above > 0           ? Splits::kAboveClasses
            : below == pictures ? Splits::kBelowClasses
                                : Splits::kNone;
  return absl::OkStatus();
}

FolderLayout::Folders FolderLayout::FoldersOf(absl::string_view path) const {
  path.remove_prefix(common_.size());
  const absl::string_view first = TakeFolder(&path);
  if (splits_ == Splits::kNone) return {"", first};
  const absl::string_view second = TakeFolder(&path);
  if (splits_ == Splits::kAboveClasses) return {first, second};
  return {second, first};
}

absl::Status FolderLayout::FindClasses() {
  int64_t without = 0;
  absl::string_view example;
  std::set<absl::string_view> names;
  for (const ListedFile& file : listing_->files()) {
    if (!IsPicture(file)) continue;
    const absl::string_view label = FoldersOf(listing_->NameOf(file)).label;
    if (label.empty()) {
      if (without++ == 0) example = listing_->NameOf(file);
    } else if (names.size() <= size_t{kMaxClasses}) {
      names.insert(label);
    }
  }
  if (without > 0) {
    return BadData(absl::StrCat(
        without, " of ", listing_->Count(Kind::kPicture) + listing_->Count(Kind::kDamagedPicture),
        " pictures are in no class' folder (", PrintableName(example),
        "); put the pictures of each class into a folder named after it"));
  }
  for (const absl::string_view name : names) class_names_.emplace_back(name);
  std::sort(class_names_.begin(), class_names_.end(), NaturalLess);
  return absl::OkStatus();
}

absl::Status FolderLayout::CheckEmptyFolders() const {
  std::set<absl::string_view> used(class_names_.begin(), class_names_.end());
  for (const ListedFile& file : listing_->files()) {
    const absl::string_view name = listing_->NameOf(file);
    if (!IsPicture(file) && absl::StartsWith(name, common_)) used.insert(FoldersOf(name).label);
  }
  for (const std::string& folder : listing_->folders()) {
    const std::string path = absl::StrCat(folder, "/");
    if (!absl::StartsWith(path, common_)) continue;
    const absl::string_view label = FoldersOf(path).label;
    if (label.empty() || SplitNamed(label) || used.contains(label)) continue;
    return BadData(absl::StrCat("the folder ", Quoted(folder),
                                " is empty: a class needs pictures; add some or remove it"));
  }
  return absl::OkStatus();
}

void FolderLayout::WarnOfOtherFiles() {
  std::vector<std::string> named;
  int64_t count = 0;
  for (const ListedFile& file : listing_->files()) {
    if (IsPicture(file)) continue;
    ++count;
    if (named.size() < kNamed) named.push_back(PrintableName(listing_->NameOf(file)));
  }
  if (count == 0) return;
  warnings_.push_back(absl::StrCat(count, " files are no pictures and were left out (",
                                   absl::StrJoin(named, ", "),
                                   count > static_cast<int64_t>(kNamed) ? ", …" : "", ")."));
}

std::vector<PicturePlace> FolderLayout::Places(UnreadableFiles* unreadable) const {
  absl::flat_hash_map<absl::string_view, ClassLabel> labels;
  for (size_t i = 0; i < class_names_.size(); ++i) {
    labels[class_names_[i]] = static_cast<ClassLabel>(i);
  }
  const std::vector<ListedFile>& files = listing_->files();
  std::vector<PicturePlace> places;
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].kind != Kind::kPicture) continue;
    const Folders folders = FoldersOf(listing_->NameOf(files[i]));
    places.push_back({static_cast<uint32_t>(i), labels[folders.label],
                      SplitNamed(folders.split).value_or(SourceSplit::kTraining)});
  }
  const auto name = [&](const PicturePlace& place) { return listing_->NameOf(files[place.file]); };
  std::stable_sort(places.begin(), places.end(), [&](const auto& one, const auto& other) {
    const absl::string_view a = name(one);
    const absl::string_view b = name(other);
    if (BaseName(a) != BaseName(b)) return NaturalLess(BaseName(a), BaseName(b));
    return NaturalLess(a, b);
  });
  const auto is_repeated = [&](const PicturePlace& one, const PicturePlace& other) {
    if (name(one) != name(other)) return false;
    unreadable->Add(PrintableName(name(other)), "another file has the same path");
    return true;
  };
  places.erase(std::unique(places.begin(), places.end(), is_repeated), places.end());
  return places;
}

}  // namespace atelier::models
