#include "models/data/dataset_checks.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "models/base/check_stop.h"
#include "models/data/dataset_splits.h"

namespace atelier::models {
namespace {

constexpr size_t kNamed = 5;
// Below this even the brightest pixel of a data set looks black.
constexpr int kDark = 16;

std::string NameList(const std::vector<std::string>& names) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < std::min(names.size(), kNamed); ++i) {
    shown.push_back(absl::StrCat("'", absl::Utf8SafeCEscape(names[i]), "'"));
  }
  return absl::StrCat(absl::StrJoin(shown, ", "), names.size() > kNamed ? ", …" : "");
}

}  // namespace

DatasetChecks::DatasetChecks(const DatasetInfo& info)
    : info_(info), warnings_(info), near_(info.shape) {
  for (std::vector<int64_t>& counts : counts_) counts.resize(info.class_names.size());
}

void DatasetChecks::Add(SplitName split, int64_t index, ClassLabel label, const ImageFacts& facts) {
  warnings_.Add(split, index, label, facts.content);
  near_.Add(facts.differences);
  const bool validates =
      split == SplitName::kTraining && index >= info_.training_images - info_.validation_images;
  ++counts_[split == SplitName::kTest ? 2 : validates ? 1 : 0][label];
  const bool plain = facts.darkest == facts.brightest;
  if (plain && plain_++ == 0) first_plain_ = static_cast<uint32_t>(labels_.size());
  brightest_ = std::max(brightest_, facts.brightest);
  labels_.push_back(label);
}

std::string DatasetChecks::PlaceOf(uint32_t image) const {
  const int64_t index = Tests(image) ? image - info_.training_images : image;
  return absl::StrCat(Tests(image) ? "test" : "training", " image ", index);
}

void DatasetChecks::AddImages(std::vector<std::string>* sentences) const {
  if (warnings_.repeated() > 0) {
    sentences->push_back(absl::StrCat(warnings_.repeated(),
                                      " images equal an earlier image of their split and class."));
  }
  if (plain_ > 0) {
    sentences->push_back(
        absl::StrCat(plain_, " images are of a single colour (", PlaceOf(first_plain_), ")."));
  }
  if (brightest_ > 0 && brightest_ < kDark) {
    sentences->push_back(absl::StrCat("No pixel is brighter than ", brightest_,
                                      " of 255; if the pixels count to ", brightest_,
                                      ", scale them to 255."));
  }
}

void DatasetChecks::AddClasses(std::vector<std::string>* sentences) const {
  constexpr absl::string_view kSplits[] = {"training", "validation", "test"};
  for (size_t split = 0; split < 3; ++split) {
    // A data set to evaluate on has test images alone.
    if (split == 0 && info_.training_images == 0) continue;
    if (split == 1 && info_.validation_images == 0) continue;
    std::vector<std::string> without;
    for (size_t i = 0; i < info_.class_names.size(); ++i) {
      if (counts_[split][i] == 0) without.push_back(info_.class_names[i]);
    }
    if (without.empty()) continue;
    sentences->push_back(absl::StrCat(without.size(), " classes have no ", kSplits[split],
                                      " images (", NameList(without), ")."));
  }
  std::vector<std::string> few;
  for (size_t i = 0; i < info_.class_names.size(); ++i) {
    const int64_t count = counts_[0][i];
    if (count > 0 && count < kFewImages) few.push_back(info_.class_names[i]);
  }
  if (few.empty()) return;
  sentences->push_back(absl::StrCat(few.size(), " classes have fewer than ", kFewImages,
                                    " training images (", NameList(few),
                                    "); they will be recognised poorly."));
}

void DatasetChecks::AddBalance(std::vector<std::string>* sentences) const {
  size_t least = info_.class_names.size();
  size_t most = 0;
  for (size_t i = 0; i < info_.class_names.size(); ++i) {
    const int64_t count = counts_[0][i];
    if (count > counts_[0][most]) most = i;
    if (count > 0 && (least == info_.class_names.size() || count < counts_[0][least])) least = i;
  }
  if (least == info_.class_names.size() || counts_[0][most] <= kUnbalanced * counts_[0][least]) {
    return;
  }
  sentences->push_back(
      absl::StrCat("The classes are unbalanced: ", NameList({info_.class_names[most]}), " has ",
                   counts_[0][most], " training images, ", NameList({info_.class_names[least]}),
                   " has ", counts_[0][least], "; balanced class weights may help."));
}

void DatasetChecks::AddNearDuplicates(const std::vector<NearDuplicates::Pair>& pairs,
                                      std::vector<std::string>* sentences) const {
  std::vector<uint32_t> leaked;
  const NearDuplicates::Pair* across = nullptr;
  const NearDuplicates::Pair* two_labels = nullptr;
  int64_t labelled_apart = 0;
  for (const NearDuplicates::Pair& pair : pairs) {
    if (Tests(pair.later) && !Tests(pair.earlier)) {
      if (across == nullptr) across = &pair;
      leaked.push_back(pair.later);
    }
    if (labels_[pair.earlier] != labels_[pair.later] && labelled_apart++ == 0) two_labels = &pair;
  }
  std::sort(leaked.begin(), leaked.end());
  leaked.erase(std::unique(leaked.begin(), leaked.end()), leaked.end());
  if (across != nullptr) {
    sentences->push_back(absl::StrCat(
        leaked.size(), " of ", info_.test_images,
        " test images nearly equal a training image, so test accuracy may be too high (",
        PlaceOf(across->later), ", ", PlaceOf(across->earlier), ")."));
  }
  if (two_labels != nullptr) {
    const auto with_class = [&](uint32_t image) {
      return absl::StrCat(PlaceOf(image), " is ", NameList({info_.class_names[labels_[image]]}));
    };
    sentences->push_back(
        absl::StrCat(labelled_apart, " pairs of nearly equal images are of different classes (",
                     with_class(two_labels->earlier), ", ", with_class(two_labels->later), ")."));
  }
}

absl::StatusOr<std::vector<std::string>> DatasetChecks::Sentences(
    NearDuplicates::ReadPixels read) const {
  const auto wanted = [this](const NearDuplicates::Pair& pair) {
    return Tests(pair.earlier) != Tests(pair.later) || labels_[pair.earlier] != labels_[pair.later];
  };
  const absl::StatusOr<std::vector<NearDuplicates::Pair>> pairs = near_.Find(wanted, read);
  if (!pairs.ok()) return pairs.status();
  std::vector<std::string> sentences = warnings_.Sentences();
  AddImages(&sentences);
  AddNearDuplicates(*pairs, &sentences);
  AddClasses(&sentences);
  AddBalance(&sentences);
  return sentences;
}

absl::StatusOr<std::vector<std::string>> FindingsOf(const Dataset& dataset,
                                                    const StopSignal* stop) {
  const auto stopped = [stop] { return CheckStop(stop, "checking the data"); };
  const int64_t training = dataset.training().size();
  const DatasetInfo info = InfoOf(dataset);
  DatasetChecks checks(info);
  for (const SplitName split : {SplitName::kTraining, SplitName::kTest}) {
    const LabeledImages& images = dataset.split(split);
    for (int64_t i = 0; i < images.size(); ++i) {
      if (absl::Status status = stopped(); !status.ok()) return status;
      checks.Add(split, i, images.labels[static_cast<size_t>(i)],
                 FactsOf(info.shape, dataset.Image(split, i)));
    }
  }
  return checks.Sentences([&](uint32_t image, absl::Span<uint8_t> pixels) {
    const bool tests = image >= training;
    const absl::Span<const uint8_t> from = dataset.Image(
        tests ? SplitName::kTest : SplitName::kTraining, tests ? image - training : image);
    std::copy(from.begin(), from.end(), pixels.begin());
    return stopped();
  });
}

}  // namespace atelier::models
