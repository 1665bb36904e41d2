#include "models/data/dataset_warnings.h"

#include <map>

#include "absl/hash/hash.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier::models {
namespace {

// Channels that an image of colours may have.
constexpr int64_t kMaxColors = 4;
constexpr size_t kMaxNamed = 3;

std::string Quoted(const std::string& name) {
  return absl::StrCat("'", absl::Utf8SafeCEscape(absl::string_view(name).substr(0, 100)), "'");
}

}  // namespace

void DatasetWarnings::Look(SplitName split, int64_t index, ClassLabel label,
                           absl::Span<const uint8_t> image) {
  Add(split, index, label, absl::HashOf(image));
}

void DatasetWarnings::Add(SplitName split, int64_t index, ClassLabel label, uint64_t content) {
  if (seen_.size() >= kMaxCompared) return;
  const Place place = {static_cast<uint32_t>(index), label, split};
  const auto [entry, is_new] = seen_.try_emplace(content, place);
  if (is_new) return;
  const Place& earlier = entry->second;
  if (split == SplitName::kTest && earlier.split == SplitName::kTraining) {
    in_both_.Add(earlier, place);
  } else if (Validates(place) && !Validates(earlier)) {
    validated_.Add(earlier, place);
  } else if (earlier.label == label) {
    ++repeated_;
  }
  if (earlier.label != label) two_labels_.Add(earlier, place);
}

std::string DatasetWarnings::WithClass(const Place& place) const {
  return absl::StrCat(place.split == SplitName::kTest ? "test" : "training", " image ", place.index,
                      " is ", Quoted(info_.class_names[place.label]));
}

void DatasetWarnings::AddNames(std::vector<std::string>* sentences) const {
  std::map<std::string, int> counts;
  for (const std::string& name : info_.class_names) ++counts[name];
  size_t named = 0;
  for (const auto& [name, count] : counts) {
    if (count == 1 || ++named > kMaxNamed) continue;
    sentences->push_back(absl::StrCat(count, " classes are named ", Quoted(name), "."));
  }
  for (const std::string& name : info_.class_names) {
    if (name.find('\0') == std::string::npos) continue;
    sentences->push_back(absl::StrCat("The class name ", Quoted(name),
                                      " holds a NUL character, at which other "
                                      "programs end it."));
    break;
  }
}

std::vector<std::string> DatasetWarnings::Sentences() const {
  std::vector<std::string> sentences;
  const ImageShape& shape = info_.shape;
  if (shape.channels > kMaxColors && (shape.width == 1 || shape.width == 3)) {
    sentences.push_back(absl::StrCat(
        "The images have ", shape.channels, " channels of ", shape.height, "x", shape.width,
        " pixels. If the files hold height x width x channels, turn them to channels x height x "
        "width."));
  }
  if (in_both_.count > 0) {
    sentences.push_back(absl::StrCat(
        in_both_.count, " of ", info_.test_images,
        " test images are among the training images as well, so test accuracy is too high (test "
        "image ",
        in_both_.later.index, " is training image ", in_both_.earlier.index, ")."));
  }
  if (validated_.count > 0) {
    sentences.push_back(absl::StrCat(
        validated_.count, " of ", info_.validation_images,
        " validation images are among the images that train as well, so validation accuracy is too "
        "high (training image ",
        validated_.later.index, " is training image ", validated_.earlier.index, ")."));
  }
  if (two_labels_.count > 0) {
    sentences.push_back(absl::StrCat(two_labels_.count, " images equal an image of another class (",
                                     WithClass(two_labels_.earlier), ", ",
                                     WithClass(two_labels_.later), ")."));
  }
  AddNames(&sentences);
  return sentences;
}

}  // namespace atelier::models
