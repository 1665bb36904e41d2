// Labels as sources write them, numbers or words, made labels of a data set.
#ifndef ATELIER_MODELS_IMPORT_LABEL_NAMES_H_
#define ATELIER_MODELS_IMPORT_LABEL_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/import/source.h"

namespace atelier::models {

// Sets labels and class names of `contents` by a number, not below 0, for each image: the numbers
// themselves, or one less where the smallest is 1, as data sets count from 0 or from 1. kBadData if
// there are too many classes.
absl::Status LabelByNumber(const std::vector<int64_t>& numbers, SourceContents* contents);

// Collects the labels of a table's rows. Not thread-safe.
class LabelColumn {
 public:
  // The next image's; blanks around it are dropped. kBadData if it is empty or one class too many.
  absl::Status Add(absl::string_view label);
  // As LabelByNumber if every label is a whole number; else the classes are the labels, sorted
  // (NaturalLess).
  absl::Status Finish(SourceContents* contents) const;

 private:
  // Of each label, where it first stood in names_.
  absl::flat_hash_map<std::string, int32_t> known_;
  std::vector<std::string> names_;
  std::vector<int32_t> labels_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_LABEL_NAMES_H_
