// Which classes of a model the classes of a data set are. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_BASE_CLASS_MATCHING_H_
#define ATELIER_SERVER_BASE_CLASS_MATCHING_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace atelier {

// For each class of the data set the index of the model's class of the same name. `class-7`, which
// `atelier datasets pull --png` writes where a name cannot be a folder's, also means class 7 of a
// model that has no class of that name. INVALID_ARGUMENT, with the names of both, if the model has
// no such class or a class is meant twice.
absl::StatusOr<std::vector<int>> MatchClasses(const std::vector<std::string>& dataset,
                                              const std::vector<std::string>& model);

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_CLASS_MATCHING_H_
