// Options may be spelled with dashes or underscores, whichever the program prints in its help:
// `--data-dir` is `--data_dir`. Thread-safe: pure functions.
#ifndef ATELIER_PROTO_FLAGS_SPELLING_H_
#define ATELIER_PROTO_FLAGS_SPELLING_H_

#include <functional>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::flags {

// The argument with every `from` in its option's name replaced by `to`, if `known` knows the name
// that results (without dashes before it); otherwise the argument as it is. What follows a '=' is
// never changed.
std::string Respell(absl::string_view argument, char from, char to,
                    const std::function<bool(absl::string_view name)>& known);

// Respells the arguments of a program in place, up to a `--`.
void RespellArguments(int argc, char** argv, char from, char to,
                      const std::function<bool(absl::string_view name)>& known);

}  // namespace atelier::flags

#endif  // ATELIER_PROTO_FLAGS_SPELLING_H_
