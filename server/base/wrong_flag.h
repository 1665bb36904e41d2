// How the server says that a flag is wrong. Thread-safe: a free function.
#ifndef ATELIER_SERVER_BASE_WRONG_FLAG_H_
#define ATELIER_SERVER_BASE_WRONG_FLAG_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier {

// INVALID_ARGUMENT with a sentence that begins with the flag's name; `what` is its end.
inline absl::Status WrongFlag(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", what, "."));
}

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_WRONG_FLAG_H_
