// Numbers from the text files of /proc. Thread-safe: free functions.
#ifndef ATELIER_SERVER_BASE_PROC_FILE_H_
#define ATELIER_SERVER_BASE_PROC_FILE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace atelier {

// The whole text of a file; empty if it cannot be read.
std::string ReadProcFile(const std::string& path);

// The number after `name` and a colon at the beginning of a line, as in `VmHWM:     13844 kB`, in
// the unit that the file has it in; nothing if there is no such line.
std::optional<std::int64_t> ProcNumber(absl::string_view text, absl::string_view name);

// How long this process has been there, to a hundredth of a second; zero if that cannot be told.
absl::Duration ProcessAge();

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_PROC_FILE_H_
