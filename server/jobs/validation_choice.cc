#include "server/jobs/validation_choice.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace atelier::jobs {

std::int64_t ResolveValidation(const DatasetFacts& facts, bool given, v1::TrainingSpec* spec,
                               std::vector<FieldViolation>* wrong) {
  if (facts.validation_images == 0) {
    // As the trainer splits them: rounded, at least one.
    const double share = static_cast<double>(facts.training_images) * spec->validation_fraction();
    return facts.training_images - std::max<std::int64_t>(1, std::llround(share));
  }
  if (given) {
    wrong->push_back(
        {"spec.validation_fraction",
         absl::StrCat("The data set ", spec->dataset(), " brings ", facts.validation_images,
                      " validation images of its own; leave the validation fraction out.")});
  }
  spec->clear_validation_fraction();
  return facts.training_images;
}

}  // namespace atelier::jobs
