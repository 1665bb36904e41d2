#include "models/import/label_names.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "models/base/class_label.h"
#include "models/base/failure.h"
#include "models/base/import_limits.h"
#include "models/import/natural_order.h"

namespace atelier::models {
namespace {

// Numbers may have gaps, so that distinct labels say less than the largest.
constexpr int64_t kLargestNumber = 1'000'000;

}  // namespace

absl::Status LabelByNumber(const std::vector<int64_t>& numbers, SourceContents* contents) {
  if (numbers.empty()) return Failure(FailureReason::kBadData, "it has no images");
  const auto [low, high] = std::minmax_element(numbers.begin(), numbers.end());
  const int64_t first = *low == 1 ? 1 : 0;
  if (*high - first >= kMaxClasses) {
    return Failure(
        FailureReason::kBadData,
        absl::StrCat("label ", *high, " of image ", high - numbers.begin(), " is too large; ",
                     first, " to ", first + kMaxClasses - 1, " are possible"));
  }
  for (int64_t number = first; number <= *high; ++number) {
    contents->class_names.push_back(absl::StrCat(number));
  }
  for (const int64_t number : numbers) {
    contents->labels.push_back(static_cast<ClassLabel>(number - first));
  }
  contents->named = false;
  return absl::OkStatus();
}

absl::Status LabelColumn::Add(absl::string_view label) {
  label = absl::StripAsciiWhitespace(label);
  if (label.empty()) return Failure(FailureReason::kBadData, "the label is empty");
  if (label.size() > kMaxClassNameBytes) {
    return Failure(FailureReason::kBadData,
                   absl::StrCat("the label has ", label.size(), " bytes; at most ",
                                kMaxClassNameBytes, " are accepted"));
  }
  auto known = known_.find(label);
  if (known == known_.end()) {
    if (names_.size() >= size_t{kMaxClasses}) {
      return Failure(FailureReason::kBadData,
                     absl::StrCat("the labels are of more than ", kMaxClasses, " classes"));
    }
    known = known_.try_emplace(std::string(label), static_cast<int32_t>(names_.size())).first;
    names_.emplace_back(label);
  }
  labels_.push_back(known->second);
  return absl::OkStatus();
}

absl::Status LabelColumn::Finish(SourceContents* contents) const {
  std::vector<int64_t> numbers;
  for (const std::string& name : names_) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(name, &number) || number < 0 || number > kLargestNumber) break;
    numbers.push_back(number);
  }
  if (numbers.size() == names_.size()) {
    std::vector<int64_t> of_images;
    for (const int32_t label : labels_) of_images.push_back(numbers[static_cast<size_t>(label)]);
    return LabelByNumber(of_images, contents);
  }
  std::vector<int32_t> order(names_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return NaturalLess(names_[static_cast<size_t>(a)], names_[static_cast<size_t>(b)]);
  });
  std::vector<ClassLabel> rank(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    rank[static_cast<size_t>(order[i])] = static_cast<ClassLabel>(i);
    contents->class_names.push_back(names_[static_cast<size_t>(order[i])]);
  }
  for (const int32_t label : labels_) contents->labels.push_back(rank[static_cast<size_t>(label)]);
  contents->named = true;
  return absl::OkStatus();
}

}  // namespace atelier::models
