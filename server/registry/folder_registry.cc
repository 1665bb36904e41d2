#include "server/registry/folder_registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/files/durable_file.h"
#include "server/registry/registry_file.h"
#include "server/store/folder_artifact_store.h"

namespace atelier::registry {

absl::StatusOr<std::optional<std::string>> FolderRegistry::Read() {
  const std::string path = absl::StrCat(folder_, "/", kRegistryPath);
  const auto file = models::FileIdentity::Of(path);
  if (!file.has_value()) return absl::NotFoundError(absl::StrCat("there is no ", path));
  if (file == read_) return std::nullopt;
  auto bytes = models::ReadWholeFile(path, kMaxRegistryBytes);
  if (!bytes.ok()) {
    return absl::UnavailableError(absl::StripSuffix(bytes.status().message(), "."));
  }
  read_ = file;
  return *std::move(bytes);
}

std::string FolderRegistry::ArchivePath(absl::string_view model,
                                        const v1::ModelVersion& version) const {
  return store::FolderArtifactStore(folder_).ArchivePath(model, version.version());
}

}  // namespace atelier::registry
