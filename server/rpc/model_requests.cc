#include "server/rpc/model_requests.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"

namespace atelier::rpc {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1000;

}  // namespace

absl::StatusOr<std::string> ParseModelAlone(const std::string& name) {
  auto reference = jobs::ParseModelName(name);
  if (!reference.ok()) return reference.status();
  if (!reference->version.empty()) {
    return jobs::InvalidField("name", absl::StrCat("'", name,
                                                   "' names a version; a model is asked "
                                                   "for, such as models/",
                                                   reference->model, "."));
  }
  return std::move(reference->model);
}

absl::StatusOr<int> ModelsPageSize(const v1::ListModelsRequest& request) {
  return jobs::ResolvePageSize(request.page_size(), kDefaultPage, kMaxPage);
}

absl::StatusOr<int> VersionsPageSize(const v1::GetModelRequest& request) {
  return jobs::ResolvePageSize(request.page_size(), kMaxPage, kMaxPage);
}

}  // namespace atelier::rpc
