// The model registry as serving wants to see it.
#ifndef ATELIER_SERVER_WIRING_REGISTRY_VERSIONS_H_
#define ATELIER_SERVER_WIRING_REGISTRY_VERSIONS_H_

#include <string>
#include <vector>

#include "server/jobs/artifact_store.h"
#include "server/jobs/model_store.h"
#include "server/serving/version_source.h"

namespace atelier::wiring {

// Thread-safe.
class RegistryVersions final : public serving::VersionSource {
 public:
  // Both must live as long.
  RegistryVersions(jobs::ModelStore* models, jobs::ArtifactStore* artifacts)
      : models_(models), artifacts_(artifacts) {}

  absl::StatusOr<serving::Version> Resolve(const std::string& model,
                                           const std::string& reference) override;
  absl::StatusOr<std::vector<serving::Version>> Versions(const std::string& model) override;
  absl::StatusOr<std::vector<std::string>> Models() override;
  bool MayFetch() const override { return artifacts_->KeepsElsewhere(); }
  absl::Status Fetch(const serving::Version& version) override {
    return artifacts_->Fetch(version.archive_path);
  }

 private:
  serving::Version ToVersion(const std::string& model, const v1::ModelVersion& version) const;

  jobs::ModelStore* const models_;
  jobs::ArtifactStore* const artifacts_;
};

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_REGISTRY_VERSIONS_H_
