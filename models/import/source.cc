#include "models/import/source.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/base/failure.h"

namespace atelier::models {
namespace {

constexpr int64_t kToleratedCount = 100;
constexpr size_t kNamedInErrors = 3;

}  // namespace

void UnreadableFiles::Add(std::string name, absl::string_view reason) {
  ++count_;
  if (first_.size() < ImportReport::kMaxUnreadable) {
    first_.push_back({std::move(name), std::string(reason)});
  }
}

absl::Status UnreadableFiles::Check(int64_t images) const {
  if (count_ <= std::max(images / 100, std::min(kToleratedCount, images / 5))) {
    return absl::OkStatus();
  }
  std::string text = absl::StrCat(count_, " of ", images, " images cannot be read: ");
  for (size_t i = 0; i < std::min(first_.size(), kNamedInErrors); ++i) {
    absl::StrAppend(&text, i == 0 ? "" : "; ", first_[i].name, ": ", first_[i].reason);
  }
  if (count_ > static_cast<int64_t>(kNamedInErrors)) absl::StrAppend(&text, "; …");
  return Failure(FailureReason::kBadData, text);
}

}  // namespace atelier::models
