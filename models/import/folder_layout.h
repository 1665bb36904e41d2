// Which folders of an archive are classes and which are splits. See picture_source.h for the rules.
// Not thread-safe.
#ifndef ATELIER_MODELS_IMPORT_FOLDER_LAYOUT_H_
#define ATELIER_MODELS_IMPORT_FOLDER_LAYOUT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/import/listing.h"
#include "models/import/picture_source.h"
#include "models/import/source.h"

namespace atelier::models {

// The split that a folder, or a value in a table, of that name means; in lower or upper case.
std::optional<SourceSplit> SplitNamed(absl::string_view name);

// Checks names of classes, in the order of their labels: their number, 2 to kMaxClasses, their
// bytes, and that no two differ in nothing but upper and lower case. kBadData.
absl::Status CheckClassNames(const std::vector<std::string>& names);

class FolderLayout {
 public:
  // `listing` must outlive the layout. kBadData if its pictures are not in a folder per class.
  static absl::StatusOr<FolderLayout> Of(const Listing& listing);

  // Sorted (NaturalLess).
  const std::vector<std::string>& class_names() const { return class_names_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  // The pictures in the data set's order.
  std::vector<PicturePlace> Places(UnreadableFiles* unreadable) const;

 private:
  enum class Splits { kNone, kAboveClasses, kBelowClasses };
  // Folders of a path that count: those behind what all paths begin with.
  struct Folders {
    absl::string_view split;  // Empty if there is none.
    absl::string_view label;  // Empty if there are too few folders.
  };

  explicit FolderLayout(const Listing& listing) : listing_(&listing) {}

  void FindCommonFolders();
  absl::Status FindSplits();
  absl::Status FindClasses();
  absl::Status CheckEmptyFolders() const;
  void WarnOfOtherFiles();
  Folders FoldersOf(absl::string_view path) const;

  const Listing* listing_;
  // The folders that all pictures' paths begin with, each with its slash.
  std::string common_;
  Splits splits_ = Splits::kNone;
  std::vector<std::string> class_names_;
  std::vector<std::string> warnings_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_FOLDER_LAYOUT_H_
