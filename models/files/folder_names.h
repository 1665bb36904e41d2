// What is in a folder. Thread-safe: a free function.
#ifndef ATELIER_MODELS_FILES_FOLDER_NAMES_H_
#define ATELIER_MODELS_FILES_FOLDER_NAMES_H_

#include <string>
#include <vector>

namespace atelier::models {

// The names in a folder, in no order; none if it is not there.
std::vector<std::string> NamesIn(const std::string& folder);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_FILES_FOLDER_NAMES_H_
