#include "server/kubernetes/api.h"

#include "absl/strings/str_cat.h"
#include "server/base/printable.h"
#include "server/kubernetes/json_fields.h"

namespace atelier::kubernetes {

absl::Status StatusOf(long code, absl::string_view body) {
  if (code >= 200 && code < 300) return absl::OkStatus();
  const auto answer = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  const std::string said = Printable(TextOf(answer, "/message"));
  const std::string what =
      absl::StrCat("Kubernetes answers ", code, said.empty() ? "" : ": ", said);
  switch (code) {
    case 400:
    case 422:
      return absl::InvalidArgumentError(what);
    case 401:
      return absl::UnavailableError(absl::StrCat(what, " (it does not accept the token)"));
    case 403:
      return absl::PermissionDeniedError(what);
    case 404:
      return absl::NotFoundError(what);
    case 409:
      return absl::AlreadyExistsError(what);
    default:
      return absl::UnavailableError(what);
  }
}

}  // namespace atelier::kubernetes
