// Flags of engines, by their names without dashes.
#ifndef ATELIER_SERVER_REMOTE_ENGINE_FLAGS_H_
#define ATELIER_SERVER_REMOTE_ENGINE_FLAGS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace atelier::remote {

using EngineFlags = std::map<std::string, std::string>;

// The value of a flag; empty if it is not given.
inline std::string ValueOf(const EngineFlags& flags, const std::string& name) {
  const auto value = flags.find(name);
  return value == flags.end() ? "" : value->second;
}

// INVALID_ARGUMENT with a sentence; `what` is its end.
inline absl::Status WrongFlag(absl::string_view flag, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, ": ", what, "."));
}

}  // namespace atelier::remote

#endif  // ATELIER_SERVER_REMOTE_ENGINE_FLAGS_H_
