#include "server/registry/registry_publisher.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"
#include "models/files/file_io.h"
#include "models/files/sha256.h"
#include "server/jobs/whole_models.h"
#include "server/registry/registry_file.h"

namespace atelier::registry {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(5);

}  // namespace

absl::Status RegistryPublisher::Publish() {
  auto models = jobs::WholeModels(models_);
  if (!models.ok()) return models.status();
  published::v1::Registry registry;
  for (v1::Model& model : *models) registry.add_models()->Swap(&model);
  const std::string bytes = RegistryBytes(registry);
  const std::string sha256 = models::Sha256Of(bytes);
  if (sha256 == published_) return absl::OkStatus();
  const std::string path = absl::StrCat(options_.data_dir, "/", kRegistryPath);
  std::error_code error;
  std::filesystem::create_directories(models::FolderOf(path), error);
  absl::Status status = models::WriteFileDurably(path, bytes);
  if (status.ok() && options_.keep) status = options_.keep(path);
  if (status.ok()) published_ = sha256;
  observer_->Published(status.ok());
  return status;
}

absl::Duration RegistryPublisher::Tick() {
  const absl::Status status = Publish();
  if (status.ok()) {
    complaint_.clear();
    return absl::InfiniteDuration();
  }
  std::string complaint = absl::StrCat(
      "The registry cannot be published, so that serving replicas do not learn of "
      "changes: ",
      status.message());
  if (complaint != complaint_) options_.log(complaint);
  complaint_ = std::move(complaint);
  return kRetry;
}

}  // namespace atelier::registry
