// What is counted of published and mirrored registries: the seam to the metrics.
#ifndef ATELIER_SERVER_REGISTRY_REGISTRY_OBSERVER_H_
#define ATELIER_SERVER_REGISTRY_REGISTRY_OBSERVER_H_

#include <cstdint>
#include <optional>

#include "absl/time/time.h"

namespace atelier::registry {

// Thread-safe.
class RegistryObserver {
 public:
  virtual ~RegistryObserver() = default;
  // A server tried to publish its registry.
  virtual void Published(bool ok) = 0;
  // A replica follows a registry of so many versions.
  virtual void Followed(std::int64_t versions) = 0;
  // Since when a replica cannot read the registry; nothing while it can.
  virtual void Unreadable(std::optional<absl::Time> since) = 0;
};

}  // namespace atelier::registry

#endif  // ATELIER_SERVER_REGISTRY_REGISTRY_OBSERVER_H_
