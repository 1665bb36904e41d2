#include "models/import/split_plan.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/base/failure.h"
#include "models/base/import_limits.h"
#include "models/data/dataset.h"
#include "models/data/stored_labels.h"
#include "models/data/validation_split.h"
#include "models/files/archive_reader.h"
#include "models/import/folder_layout.h"

namespace atelier::models {
namespace {

using Split = SourceSplit;

absl::Status InvalidSpec(absl::string_view message) {
  return Failure(FailureReason::kInvalidSpec, message);
}

// At most ten of them.
std::string NameList(const std::vector<std::string>& names) {
  constexpr size_t kShown = 10;
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
    shown.push_back(PrintableName(names[i]));
  }
  return absl::StrCat(absl::StrJoin(shown, ", "), names.size() > kShown ? ", …" : "");
}

// Names for labels that are numbers.
absl::Status NameNumbers(const ImportOptions& options, SourceContents* contents) {
  const std::vector<std::string>& names = options.class_names;
  const size_t labels = contents->class_names.size();
  if (names.size() < labels) {
    return InvalidSpec(absl::StrCat("there are ", names.size(),
                                    " class names, but the labels are 0 to ", labels - 1, ": ",
                                    labels, " names are needed"));
  }
  contents->class_names = names;
  return absl::OkStatus();
}

// The source's own names in another order.
absl::Status OrderNames(const ImportOptions& options, SourceContents* contents) {
  absl::flat_hash_map<std::string, ClassLabel> wanted;
  for (size_t i = 0; i < options.class_names.size(); ++i) {
    wanted[options.class_names[i]] = static_cast<ClassLabel>(i);
  }
  std::vector<ClassLabel> label_of;
  for (const std::string& name : contents->class_names) {
    const auto label = wanted.find(name);
    if (label == wanted.end() || wanted.size() != contents->class_names.size()) {
      return InvalidSpec(absl::StrCat("the class names ", NameList(options.class_names),
                                      " are not those of the source, which are ",
                                      NameList(contents->class_names)));
    }
    label_of.push_back(label->second);
  }
  for (ClassLabel& label : contents->labels) label = label_of[label];
  contents->class_names = options.class_names;
  return absl::OkStatus();
}

// Moves a share of the training images to `to`, of every class in proportion.
absl::Status HoldBack(Split to, double fraction, uint64_t seed, SourceContents* contents) {
  std::vector<int32_t> images;
  std::vector<ClassLabel> labels;
  for (size_t i = 0; i < contents->labels.size(); ++i) {
    if (contents->splits[i] != Split::kTraining) continue;
    images.push_back(static_cast<int32_t>(i));
    labels.push_back(contents->labels[i]);
  }
  const auto count = static_cast<int64_t>(images.size());
  if (count < 2) {
    return Failure(
        FailureReason::kBadData,
        absl::StrCat("there are ", count, " training images, too few to hold some back from them"));
  }
  const int64_t held_back = std::clamp<int64_t>(std::llround(fraction * static_cast<double>(count)),
                                                1, std::max<int64_t>(count / 2, 1));
  const ValidationSplit split =
      SplitByClass(LabeledImages{{}, SharedLabels(std::move(labels))},
                   static_cast<int64_t>(contents->class_names.size()), held_back, seed);
  for (const int32_t i : split.validation) {
    contents->splits[static_cast<size_t>(images[static_cast<size_t>(i)])] = to;
  }
  return absl::OkStatus();
}

bool Has(const SourceContents& contents, Split split) {
  return std::find(contents.splits.begin(), contents.splits.end(), split) != contents.splits.end();
}

absl::Status MakeTestSplit(const ImportOptions& options, SourceContents* contents) {
  if (options.test_fraction == kAllForTest) return absl::OkStatus();
  if (Has(*contents, Split::kTest)) {
    if (options.test_fraction > 0) {
      contents->warnings.push_back(
          "The source has test images of its own; the test fraction was not used.");
    }
    return absl::OkStatus();
  }
  const double fraction = options.test_fraction > 0 ? options.test_fraction : kDefaultTestFraction;
  absl::Status status = HoldBack(Split::kTest, fraction, options.seed, contents);
  if (!status.ok() || options.test_fraction > 0) return status;
  contents->warnings.push_back(
      absl::StrCat("The source has no test images; ", std::lround(100 * fraction),
                   " % of its images, chosen by class, became the test split."));
  return absl::OkStatus();
}

absl::Status MakeValidationSplit(const ImportOptions& options, SourceContents* contents) {
  if (options.validation_fraction == 0) return absl::OkStatus();
  if (!Has(*contents, Split::kValidation)) {
    return HoldBack(Split::kValidation, options.validation_fraction, options.seed, contents);
  }
  contents->warnings.push_back(
      "The source has validation images of its own; the validation fraction was not used.");
  return absl::OkStatus();
}

}  // namespace

absl::Status NameClasses(const ImportOptions& options, SourceContents* contents) {
  if (!options.class_names.empty()) {
    const absl::Status status =
        contents->named ? OrderNames(options, contents) : NameNumbers(options, contents);
    if (!status.ok()) return status;
  }
  return CheckClassNames(contents->class_names);
}

absl::StatusOr<SplitPlan> PlanSplits(const ImportOptions& options, SourceContents* contents) {
  if (options.test_fraction == kAllForTest) {
    std::fill(contents->splits.begin(), contents->splits.end(), Split::kTest);
  } else if (!Has(*contents, Split::kTraining)) {
    return Failure(FailureReason::kBadData, "it has no training images");
  }
  absl::Status status = MakeTestSplit(options, contents);
  if (status.ok()) status = MakeValidationSplit(options, contents);
  if (!status.ok()) return status;
  std::array<int32_t, 3> next = {};
  for (const Split split : contents->splits) ++next[static_cast<size_t>(split)];
  SplitPlan plan;
  plan.training = next[0];
  plan.validation = next[1];
  plan.label_bytes = StoredLabelBytes(contents->class_names.size());
  next = {0, next[0], next[0] + next[1]};
  plan.labels.resize(contents->labels.size());
  for (size_t i = 0; i < contents->labels.size(); ++i) {
    const int32_t place = next[static_cast<size_t>(contents->splits[i])]++;
    plan.place_of_image.push_back(place);
    plan.labels[static_cast<size_t>(place)] = contents->labels[i];
  }
  return plan;
}

}  // namespace atelier::models
