#include "models/import/import_options.h"

#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/base/class_label.h"
#include "models/base/failure.h"
#include "models/base/import_limits.h"

namespace atelier::models {
namespace {

void CheckSide(const char* name, int64_t side, std::vector<std::string>* problems) {
  if (side >= 1 && side <= kMaxImportSide) return;
  problems->push_back(absl::StrCat("the ", name, " of the images is ", side, "; 1 to ",
                                   kMaxImportSide, " are possible"));
}

void CheckFraction(const char* name, double fraction, std::vector<std::string>* problems) {
  // Written so that NaN is refused.
  if (fraction >= 0 && fraction <= kMaxHeldBack) return;
  problems->push_back(absl::StrCat("the ", name, " fraction is ", fraction, "; 0 to ", kMaxHeldBack,
                                   " are possible"));
}

void CheckNames(const std::vector<std::string>& names, std::vector<std::string>* problems) {
  if (names.size() == 1 || names.size() > size_t{kMaxClasses}) {
    problems->push_back(absl::StrCat("there are ", names.size(), " class names; 2 to ", kMaxClasses,
                                     " are possible"));
  }
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name.empty() || name.size() > kMaxClassNameBytes) {
      problems->push_back(absl::StrCat("a class name has ", name.size(), " bytes; 1 to ",
                                       kMaxClassNameBytes, " are possible"));
    } else if (!seen.insert(name).second) {
      problems->push_back(
          absl::StrCat("the class name '", absl::Utf8SafeCEscape(name), "' is given twice"));
    }
  }
}

}  // namespace

absl::Status ImportOptions::Validate() const {
  std::vector<std::string> problems;
  if (size) {
    CheckSide("height", size->height, &problems);
    CheckSide("width", size->width, &problems);
  }
  if (test_fraction != kAllForTest) {
    CheckFraction("test", test_fraction, &problems);
  } else if (validation_fraction > 0) {
    problems.push_back(
        "all images are for the test split; a validation fraction above 0 is not possible");
  }
  CheckFraction("validation", validation_fraction, &problems);
  CheckNames(class_names, &problems);
  if (problems.empty()) return absl::OkStatus();
  return Failure(FailureReason::kInvalidSpec, absl::StrJoin(problems, "; "));
}

}  // namespace atelier::models
