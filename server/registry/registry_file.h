// The file by which serving replicas know a registry (registry.proto). Thread-safe: pure functions.
#ifndef ATELIER_SERVER_REGISTRY_REGISTRY_FILE_H_
#define ATELIER_SERVER_REGISTRY_REGISTRY_FILE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/published/v1/registry.pb.h"

namespace atelier::registry {

// Where it lies in a data directory.
inline constexpr char kRegistryPath[] = "models/registry.pb";
inline constexpr std::int64_t kMaxRegistryBytes = std::int64_t{256} << 20;

std::string RegistryBytes(const published::v1::Registry& registry);

// Its names, numbers and checksums are those that a registry can have, its models and their
// versions in order. Errors, each a sentence's end: DATA_LOSS for a damaged file,
// FAILED_PRECONDITION for one of a later format.
absl::StatusOr<published::v1::Registry> ReadRegistry(absl::string_view bytes);

}  // namespace atelier::registry

#endif  // ATELIER_SERVER_REGISTRY_REGISTRY_FILE_H_
