#include "server/wiring/registry_versions.h"

#include <algorithm>

#include "server/jobs/whole_models.h"

namespace atelier::wiring {

serving::Version RegistryVersions::ToVersion(const std::string& model,
                                             const v1::ModelVersion& version) const {
  return {model, version.version(), artifacts_->ArchivePath(model, version.version()),
          version.sha256()};
}

absl::StatusOr<serving::Version> RegistryVersions::Resolve(const std::string& model,
                                                           const std::string& reference) {
  const auto version = models_->ResolveVersion(model, reference);
  if (!version.ok()) return version.status();
  return ToVersion(model, *version);
}

absl::StatusOr<std::vector<serving::Version>> RegistryVersions::Versions(const std::string& model) {
  const auto whole = jobs::WholeModel(models_, model);
  if (!whole.ok()) return whole.status();
  std::vector<serving::Version> versions;
  for (const v1::ModelVersion& version : whole->versions()) {
    versions.push_back(ToVersion(model, version));
  }
  std::reverse(versions.begin(), versions.end());
  return versions;
}

absl::StatusOr<std::vector<std::string>> RegistryVersions::Models() {
  return jobs::ModelNames(models_);
}

}  // namespace atelier::wiring
