#include "server/rpc/registry_versions.h"

namespace atelier::rpc {

absl::StatusOr<serving::Version> RegistryVersions::Resolve(const std::string& model,
                                                           const std::string& reference) {
  const auto version = models_->ResolveVersion(model, reference);
  if (!version.ok()) return version.status();
  return serving::Version{model, version->version(),
                          artifacts_->ArchivePath(model, version->version()), version->sha256()};
}

}  // namespace atelier::rpc
