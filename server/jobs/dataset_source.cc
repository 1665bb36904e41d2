#include "server/jobs/dataset_source.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/jobs/error.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {

absl::StatusOr<DatasetFacts> DescribeUsable(const std::string& reference, absl::string_view field,
                                            DatasetSource* datasets) {
  auto facts = datasets->Describe(reference);
  if (absl::IsNotFound(facts.status())) {
    const auto names = datasets->Names();
    return InvalidField(
        field, absl::StrCat("There is no data set ", Quoted(reference),
                            names.empty() ? "; the server has none."
                                          : absl::StrCat("; the server has ",
                                                         absl::StrJoin(names, ", "), ".")));
  }
  if (facts.ok() && !facts->problem.empty()) {
    return InvalidField(field, absl::StrCat("The data set ", Quoted(reference),
                                            " cannot be used: ", facts->problem, "."));
  }
  return facts;
}

}  // namespace atelier::jobs
