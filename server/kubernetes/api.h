// The seam to Kubernetes' API server: calls of its REST API with JSON both ways.
#ifndef ATELIER_SERVER_KUBERNETES_API_H_
#define ATELIER_SERVER_KUBERNETES_API_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace atelier::kubernetes {

// Thread-safe.
class Api {
 public:
  virtual ~Api() = default;

  // One call: a method such as GET, a path with its query such as
  // `/apis/batch/v1/namespaces/lab/jobs?limit=5`, and a body, or null for none. The answer's body
  // may have any shape. Errors, with what the API server said:
  // NOT_FOUND (404); ALREADY_EXISTS (409); INVALID_ARGUMENT (400, 422: it would be refused again);
  // PERMISSION_DENIED (403); UNAVAILABLE for everything else, and if there was no answer.
  virtual absl::StatusOr<nlohmann::json> Call(absl::string_view method, const std::string& path,
                                              const nlohmann::json& body) = 0;

  // Reads a watch line by line until `line` answers false or the API server ends it. UNAVAILABLE
  // if it could not be read.
  virtual absl::Status Watch(const std::string& path,
                             absl::FunctionRef<bool(absl::string_view)> line) = 0;

  // Calls that are under way end soon, later ones at once.
  virtual void Stop() = 0;
};

// What an answer of this code means, as above; OK for 200 to 299.
absl::Status StatusOf(long code, absl::string_view body);

}  // namespace atelier::kubernetes

#endif  // ATELIER_SERVER_KUBERNETES_API_H_
