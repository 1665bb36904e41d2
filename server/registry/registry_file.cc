#include "server/registry/registry_file.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "models/files/file_digest.h"
#include "models/files/sha256.h"
#include "server/jobs/resource_names.h"

namespace atelier::registry {
namespace {

constexpr int kFormat = 1;

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("it is damaged: ", what));
}

// What is wrong with a model; empty if nothing is. Paths are made of its names.
std::string ProblemOf(const v1::Model& model) {
  const auto name = jobs::ParseModelName(model.name());
  if (!name.ok() || !name->version.empty()) {
    return absl::StrCat(jobs::Quoted(model.name()), " is no model's name");
  }
  std::int64_t before = INT64_MAX;
  for (const v1::ModelVersion& version : model.versions()) {
    const bool sound = version.version() > 0 && version.version() < before &&
                       version.name() == jobs::ModelVersionName(name->model, version.version()) &&
                       version.size_bytes() > 0 && models::IsSha256(version.sha256()) &&
                       jobs::ParseJobName(version.job()).ok();
    if (!sound) return absl::StrCat(model.name(), " has a version that there cannot be");
    before = version.version();
  }
  return "";
}

}  // namespace

std::string RegistryBytes(const published::v1::Registry& registry) {
  published::v1::RegistryFile file;
  file.set_format(kFormat);
  file.set_registry(registry.SerializeAsString());
  file.set_sha256(models::Sha256Of(file.registry()));
  return file.SerializeAsString();
}

absl::StatusOr<published::v1::Registry> ReadRegistry(absl::string_view bytes) {
  published::v1::RegistryFile file;
  if (!file.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || file.format() < 1) {
    return Damaged("it is no registry");
  }
  if (file.format() > kFormat) {
    return absl::FailedPreconditionError(absl::StrCat("it has format ", file.format(),
                                                      ", of a later version of Atelier; this one ",
                                                      "reads format ", kFormat));
  }
  if (models::Sha256Of(file.registry()) != file.sha256()) return Damaged("its checksum is wrong");
  published::v1::Registry registry;
  if (!registry.ParseFromString(file.registry())) return Damaged("it is no registry");
  std::string last;
  for (const v1::Model& model : registry.models()) {
    if (const std::string problem = ProblemOf(model); !problem.empty()) return Damaged(problem);
    if (model.name() <= last) return Damaged("its models are not in order");
    last = model.name();
  }
  return registry;
}

}  // namespace atelier::registry
