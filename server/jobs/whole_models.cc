#include "server/jobs/whole_models.h"

#include <utility>

#include "absl/status/status.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

constexpr int kPage = 1000;

}  // namespace

absl::StatusOr<std::vector<std::string>> ModelNames(ModelStore* models) {
  std::vector<std::string> names;
  std::string token;
  do {
    const auto page = models->ListModels(kPage, token);
    if (!page.ok()) return page.status();
    for (const v1::Model& model : page->models()) {
      auto name = ParseModelName(model.name());
      if (!name.ok()) return name.status();
      names.push_back(std::move(name->model));
    }
    token = page->next_page_token();
  } while (!token.empty());
  return names;
}

absl::StatusOr<v1::Model> WholeModel(ModelStore* models, absl::string_view name) {
  auto model = models->GetModel(name, kPage, "");
  while (model.ok() && !model->next_page_token().empty()) {
    auto page = models->GetModel(name, kPage, model->next_page_token());
    if (!page.ok()) return page.status();
    for (v1::ModelVersion& version : *page->mutable_versions()) {
      model->add_versions()->Swap(&version);
    }
    model->set_next_page_token(page->next_page_token());
  }
  return model;
}

absl::StatusOr<std::vector<v1::Model>> WholeModels(ModelStore* models) {
  const auto names = ModelNames(models);
  if (!names.ok()) return names.status();
  std::vector<v1::Model> all;
  for (const std::string& name : *names) {
    auto model = WholeModel(models, name);
    if (absl::IsNotFound(model.status())) continue;
    if (!model.ok()) return model.status();
    all.push_back(*std::move(model));
  }
  return all;
}

}  // namespace atelier::jobs
