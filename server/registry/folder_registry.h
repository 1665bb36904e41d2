// A registry in the data directory of the server that publishes it, which this only reads.
#ifndef ATELIER_SERVER_REGISTRY_FOLDER_REGISTRY_H_
#define ATELIER_SERVER_REGISTRY_FOLDER_REGISTRY_H_

#include <optional>
#include <string>
#include <utility>

#include "models/files/file_identity.h"
#include "server/registry/registry_place.h"

namespace atelier::registry {

class FolderRegistry final : public RegistryPlace {
 public:
  // `folder` is absolute; it need not be there.
  explicit FolderRegistry(std::string folder) : folder_(std::move(folder)) {}

  std::string Name() const override { return folder_; }
  absl::StatusOr<std::optional<std::string>> Read() override;
  std::string ArchivePath(absl::string_view model, const v1::ModelVersion& version) const override;

 private:
  const std::string folder_;
  std::optional<models::FileIdentity> read_;  // Of the file that was read last.
};

}  // namespace atelier::registry

#endif  // ATELIER_SERVER_REGISTRY_FOLDER_REGISTRY_H_
