#include "server/rpc/ownership.h"

#include <cstdint>

namespace atelier::rpc {
namespace {

constexpr int kVersionsPage = 1000;

bool MayChangeAll(const access::Caller& caller) { return caller.role == access::Role::kAdmin; }

// Of what was found, or that it was not.
template <typename Resource>
absl::Status CheckOwn(const access::Caller& caller, const absl::StatusOr<Resource>& found) {
  if (!found.ok()) return found.status();
  return access::CheckOwn(caller, found->name(), found->creator());
}

absl::Status CheckOwnVersions(jobs::ModelStore* models, const access::Caller& caller,
                              const std::string& model) {
  std::string page_token;
  do {
    const auto page = models->GetModel(model, kVersionsPage, page_token);
    if (!page.ok()) return page.status();
    for (const v1::ModelVersion& version : page->versions()) {
      const absl::Status own = access::CheckOwn(caller, version.name(), version.creator());
      if (!own.ok()) return own;
    }
    page_token = page->next_page_token();
  } while (!page_token.empty());
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckOwnJob(jobs::JobController* controller, const access::Caller& caller,
                         const std::string& id) {
  return MayChangeAll(caller) ? absl::OkStatus() : CheckOwn(caller, controller->Get(id));
}

absl::Status CheckOwnExperiment(jobs::ExperimentController* controller,
                                const access::Caller& caller, const std::string& id) {
  return MayChangeAll(caller) ? absl::OkStatus() : CheckOwn(caller, controller->Get(id));
}

absl::Status CheckOwnModel(jobs::ModelStore* models, const access::Caller& caller,
                           const jobs::ModelReference& reference) {
  if (MayChangeAll(caller)) return absl::OkStatus();
  if (reference.version.empty()) return CheckOwnVersions(models, caller, reference.model);
  return CheckOwn(caller, models->ResolveVersion(reference.model, reference.version));
}

absl::Status CheckOwnDataset(jobs::DatasetStore* datasets, const access::Caller& caller,
                             const jobs::DatasetReference& reference) {
  if (MayChangeAll(caller)) return absl::OkStatus();
  const auto found = datasets->FindDataset(reference);
  if (reference.version != 0 || !found.ok()) return CheckOwn(caller, found);
  for (const std::int64_t version : found->versions()) {
    const auto one = datasets->FindDataset({reference.dataset, version});
    // It may have been deleted meanwhile.
    if (absl::IsNotFound(one.status())) continue;
    if (auto own = CheckOwn(caller, one); !own.ok()) return own;
  }
  return absl::OkStatus();
}

absl::Status CheckOwnUpload(uploads::UploadFolder* uploads, const access::Caller& caller,
                            const std::string& id) {
  return MayChangeAll(caller) ? absl::OkStatus() : CheckOwn(caller, uploads->Get(id));
}

}  // namespace atelier::rpc
