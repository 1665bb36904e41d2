#include "models/files/folder_names.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace atelier::models {

absl::StatusOr<std::vector<std::string>> ReadNames(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  if (!error) return names;
  if (error == std::errc::no_such_file_or_directory) return std::vector<std::string>();
  const std::string message = absl::StrCat(folder, " cannot be read: ", error.message());
  const bool exhausted = error == std::errc::too_many_files_open ||
                         error == std::errc::too_many_files_open_in_system ||
                         error == std::errc::not_enough_memory;
  return exhausted ? absl::ResourceExhaustedError(message) : absl::UnavailableError(message);
}

std::vector<std::string> NamesIn(const std::string& folder) {
  return ReadNames(folder).value_or(std::vector<std::string>());
}

}  // namespace atelier::models
