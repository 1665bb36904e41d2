// Which image of a source goes where in the packed file. Pure functions and values.
#ifndef ATELIER_MODELS_IMPORT_SPLIT_PLAN_H_
#define ATELIER_MODELS_IMPORT_SPLIT_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/base/class_label.h"
#include "models/import/import_options.h"
#include "models/import/source.h"

namespace atelier::models {

// The images in the packed file's order: those that train, those that validate, those that test,
// each in the source's order. Places whose image turns out unreadable are closed later.
struct SplitPlan {
  // The place of each of the source's images.
  std::vector<int32_t> place_of_image;
  // The label at each place.
  std::vector<ClassLabel> labels;
  // Places of the training and of the validation split; the rest tests.
  int64_t training = 0;
  int64_t validation = 0;
  // Of an image's label in the packed file.
  int64_t label_bytes = 1;

  int64_t places() const { return static_cast<int64_t>(labels.size()); }
};

// Gives the classes the names and the order that the options want. kInvalidSpec if these do not fit
// the source; kBadData if there are fewer than two classes.
absl::Status NameClasses(const ImportOptions& options, SourceContents* contents);

// Holds images back for the splits that the source lacks (see ImportOptions), and adds a warning to
// `contents` for what a reader would not expect. kBadData if a split would be empty.
absl::StatusOr<SplitPlan> PlanSplits(const ImportOptions& options, SourceContents* contents);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_SPLIT_PLAN_H_
