// What is in a folder. Thread-safe: free functions.
#ifndef ATELIER_MODELS_FILES_FOLDER_NAMES_H_
#define ATELIER_MODELS_FILES_FOLDER_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace atelier::models {

// The names in a folder, in no order; none if it is not there. RESOURCE_EXHAUSTED if the process
// has no descriptor or memory left for it, UNAVAILABLE with the system's words if it cannot be read
// otherwise.
absl::StatusOr<std::vector<std::string>> ReadNames(const std::string& folder);

// The same where it is no matter that a folder cannot be read: none then.
std::vector<std::string> NamesIn(const std::string& folder);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_FOLDER_NAMES_H_
