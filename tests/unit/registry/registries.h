// Registries, and an observer that remembers.
#ifndef ATELIER_TESTS_UNIT_REGISTRY_REGISTRIES_H_
#define ATELIER_TESTS_UNIT_REGISTRY_REGISTRIES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "server/jobs/resource_names.h"
#include "server/registry/registry_file.h"
#include "server/registry/registry_observer.h"

namespace atelier::registry {

inline v1::ModelVersion MakeVersion(const std::string& model, std::int64_t number) {
  v1::ModelVersion version;
  version.set_name(jobs::ModelVersionName(model, number));
  version.set_version(number);
  version.set_job("jobs/one");
  version.set_size_bytes(100);
  version.set_sha256(std::string(64, 'a'));
  return version;
}

// A model with versions from `newest` down to 1, the newest of which is the latest.
inline v1::Model MakeModel(const std::string& name, std::int64_t newest) {
  v1::Model model;
  model.set_name(jobs::ModelName(name));
  for (std::int64_t i = newest; i > 0; --i) *model.add_versions() = MakeVersion(name, i);
  v1::ModelAlias* const latest = model.add_aliases();
  latest->set_alias("latest");
  latest->set_version(newest);
  return model;
}

inline published::v1::Registry MakeRegistry(const std::string& name, std::int64_t newest) {
  published::v1::Registry registry;
  *registry.add_models() = MakeModel(name, newest);
  return registry;
}

struct FakeObserver final : RegistryObserver {
  void Published(bool ok) override { ++(ok ? published : failed); }
  void Followed(std::int64_t count) override { versions = count; }
  void Unreadable(std::optional<absl::Time> since) override { unreadable_since = since; }

  int published = 0;
  int failed = 0;
  std::int64_t versions = 0;
  std::optional<absl::Time> unreadable_since;
};

}  // namespace atelier::registry

#endif  // ATELIER_TESTS_UNIT_REGISTRY_REGISTRIES_H_
