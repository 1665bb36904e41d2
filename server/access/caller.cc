#include "server/access/caller.h"

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"

namespace atelier::access {
namespace {

// `StopJob` of `/atelier.v1.TrainingService/StopJob`.
absl::string_view MethodOf(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::shared_ptr<const Caller> Anybody() {
  static const auto* const anybody =
      new std::shared_ptr<const Caller>(std::make_shared<const Caller>());
  return *anybody;
}

absl::Status CheckRole(const Caller& caller, Role role, absl::string_view path) {
  if (caller.role >= role) return absl::OkStatus();
  return jobs::Error(
      absl::StatusCode::kPermissionDenied, "ROLE_NEEDED",
      absl::StrCat(MethodOf(path), " needs the role ", RoleWord(role), ", but ", caller.name,
                   " has the role ", RoleWord(caller.role),
                   ". Use another token, or ask an administrator of the server for that role."));
}

absl::Status CheckOwn(const Caller& caller, absl::string_view what, absl::string_view creator) {
  if (caller.role == Role::kAdmin) return absl::OkStatus();
  if (!creator.empty() && caller.name == creator) return absl::OkStatus();
  return jobs::Error(
      absl::StatusCode::kPermissionDenied, "NOT_YOURS",
      creator.empty()
          ? absl::StrCat(what,
                         " was made when the server asked nobody who they are, so only the "
                         "role admin may change it; ",
                         caller.name, " has the role ", RoleWord(caller.role), ".")
          : absl::StrCat(what, " was made by ", creator, ", and ", caller.name, " with the role ",
                         RoleWord(caller.role), " may change only what is its own. Ask ", creator,
                         " or an administrator of the server."));
}

}  // namespace atelier::access
