// What a caller may do, in steps: each role may do what those before it may. Thread-safe: pure
// functions.
#ifndef ATELIER_PROTO_ACCESS_ROLE_H_
#define ATELIER_PROTO_ACCESS_ROLE_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace atelier::access {

enum class Role {
  kClassify = 1,  // Classify images: for applications.
  kViewer,        // Read everything.
  kOperator,      // Start jobs, push data sets, set aliases; stop and delete what is its own.
  kAdmin,         // Everything.
};

// The roles' words, for messages.
inline constexpr char kRoleWords[] = "classify, viewer, operator or admin";

// `classify`, `viewer`, `operator`, `admin`.
absl::string_view RoleWord(Role role);

// The role of such a word; nothing for any other.
std::optional<Role> RoleOf(absl::string_view word);

}  // namespace atelier::access

#endif  // ATELIER_PROTO_ACCESS_ROLE_H_
