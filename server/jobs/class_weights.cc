#include "server/jobs/class_weights.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

constexpr double kMost = 1e6;

// What is wrong with the weights, a sentence; empty if nothing is.
std::string ProblemOf(const std::vector<std::string>& weights, const std::string& dataset,
                      const DatasetFacts& facts) {
  if (weights.size() != facts.class_names.size()) {
    return absl::StrCat("The number of class weights is ", weights.size(),
                        "; it must be none, balanced, or ", facts.class_names.size(),
                        " weights, one for each class of ", dataset, ": ",
                        FirstNames(facts.class_names), ".");
  }
  double sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    double weight = 0;
    // Written so that NaN fails.
    if (!absl::SimpleAtod(weights[i], &weight) || !(weight >= 0 && weight <= kMost)) {
      return absl::StrCat("The weight of the class ", Quoted(facts.class_names[i]), " is ",
                          Quoted(weights[i]), "; it must be a number from 0 to 1000000.");
    }
    sum += weight;
  }
  if (sum > 0) return "";
  return absl::StrCat("The weights of all classes are 0 (", FirstNames(facts.class_names),
                      "); at least one must be above 0.");
}

}  // namespace

void ResolveClassWeights(const DatasetFacts& facts, v1::TrainingSpec* spec,
                         std::vector<FieldViolation>* wrong) {
  if (spec->class_weights() == "none" || spec->class_weights() == "balanced") return;
  std::vector<std::string> weights = absl::StrSplit(spec->class_weights(), absl::ByAnyChar(":,"));
  for (std::string& weight : weights) absl::StripAsciiWhitespace(&weight);
  std::string problem = ProblemOf(weights, spec->dataset(), facts);
  if (!problem.empty()) return wrong->push_back({"spec.class_weights", std::move(problem)});
  spec->set_class_weights(absl::StrJoin(weights, ":"));
}

}  // namespace atelier::jobs
