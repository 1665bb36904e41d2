#include "server/wiring/registry_versions.h"

#include <algorithm>
#include <utility>

#include "server/jobs/resource_names.h"

namespace atelier::wiring {
namespace {

constexpr int kPage = 1000;

}  // namespace

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
  std::vector<serving::Version> versions;
  std::string token;
  do {
    const auto page = models_->GetModel(model, kPage, token);
    if (!page.ok()) return page.status();
    for (const v1::ModelVersion& version : page->versions()) {
      versions.push_back(ToVersion(model, version));
    }
    token = page->next_page_token();
  } while (!token.empty());
  std::reverse(versions.begin(), versions.end());
  return versions;
}

absl::StatusOr<std::vector<std::string>> RegistryVersions::Models() {
  std::vector<std::string> names;
  std::string token;
  do {
    auto page = models_->ListModels(kPage, token);
    if (!page.ok()) return page.status();
    for (const v1::Model& model : page->models()) {
      auto name = jobs::ParseModelName(model.name());
      if (!name.ok()) return name.status();
      names.push_back(std::move(name->model));
    }
    token = page->next_page_token();
  } while (!token.empty());
  return names;
}

}  // namespace atelier::wiring
