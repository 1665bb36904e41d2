// Versions and aliases of a model. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_CALLS_MODEL_VERSIONS_H_
#define ATELIER_CLIENT_CALLS_MODEL_VERSIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"

namespace atelier::client {

// The version that a number or an alias names, points into `model`; the empty text means the
// latest. NOT_FOUND with a sentence.
absl::StatusOr<const v1::ModelVersion*> FindVersion(const v1::Model& model,
                                                    absl::string_view version);

// The aliases of a version, separated by spaces.
std::string AliasesOf(const v1::Model& model, std::int64_t version);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_MODEL_VERSIONS_H_
