#include "proto/access/role.h"

namespace atelier::access {

absl::string_view RoleWord(Role role) {
  switch (role) {
    case Role::kClassify:
      return "classify";
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Role> RoleOf(absl::string_view word) {
  for (const Role role : {Role::kClassify, Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (RoleWord(role) == word) return role;
  }
  return std::nullopt;
}

}  // namespace atelier::access
