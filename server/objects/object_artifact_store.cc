#include "server/objects/object_artifact_store.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "models/files/folder_names.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/whole_models.h"
#include "server/objects/object_keys.h"
#include "server/objects/store_transport.h"

namespace atelier::objects {
namespace {

namespace fs = std::filesystem;

constexpr long kFirstTimeoutMs = 10'000;

}  // namespace

absl::StatusOr<std::unique_ptr<ObjectArtifactStore>> ObjectArtifactStore::Create(
    Options options, Dependencies with) {
  std::unique_ptr<ObjectArtifactStore> store(
      new ObjectArtifactStore(std::move(options), std::move(with)));
  const absl::Status claimed = store->FirstClaim();
  if (absl::IsUnavailable(claimed)) {
    store->options_.log(
        absl::StrCat(claimed.message(), " What is to be stored there waits, and is tried again."));
  } else if (!claimed.ok()) {
    return claimed;
  }
  store->ReportPending();
  store->thread_ = std::make_unique<TickThread>(TickThread::Options{.name = "objects"},
                                                [raw = store.get()] { return raw->mover_.Tick(); });
  return store;
}

ObjectArtifactStore::ObjectArtifactStore(Options options, Dependencies with)
    : options_(std::move(options)),
      with_(std::move(with)),
      transport_(TransportOptions(options_.environment, 0)),
      client_(options_.s3, &transport_, with_.clock, options_.environment),
      transfer_(&client_),
      claim_(options_.server_id, options_.data_dir, with_.list),
      cache_(options_.data_dir, options_.cache_bytes, with_.clock, with_.list),
      mover_({.log = options_.log, .add_known = [this] { return AddKnown(); }},
             {.clock = with_.clock,
              .list = with_.list,
              .client = &client_,
              .transfer = &transfer_,
              .claim = &claim_,
              .cache = &cache_,
              .observer = with_.observer}),
      fetcher_({.clock = with_.clock,
                .list = with_.list,
                .transfer = &transfer_,
                .cache = &cache_,
                .observer = with_.observer}) {}

ObjectArtifactStore::~ObjectArtifactStore() { transport_.Stop(); }

absl::Status ObjectArtifactStore::FirstClaim() {
  http::CurlTransport transport(TransportOptions(options_.environment, kFirstTimeoutMs));
  S3Client client(options_.s3, &transport, with_.clock, options_.environment);
  return claim_.Claim(&client, with_.clock->Now());
}

std::string ObjectArtifactStore::Relative(absl::string_view path) const {
  if (!absl::ConsumePrefix(&path, options_.data_dir) || !absl::ConsumePrefix(&path, "/")) return "";
  return std::string(path);
}

absl::StatusOr<bool> ObjectArtifactStore::Bring(const std::string& path) {
  const std::string relative = Relative(path);
  return relative.empty() ? true : fetcher_.Bring(relative);
}

absl::Status ObjectArtifactStore::Fetch(const std::string& path) {
  const std::string relative = Relative(path);
  return relative.empty() ? absl::OkStatus() : fetcher_.Fetch(relative);
}

std::string ObjectArtifactStore::UriOf(const jobs::Publication& publication) const {
  return client_.options().Uri(publication.kind == jobs::Publication::Kind::kModel
                                   ? ModelKey(publication.job_id)
                                   : DatasetKey(publication.name, publication.version));
}

void ObjectArtifactStore::ReportPending() {
  const auto totals = with_.list->PendingObjects();
  if (totals.ok()) with_.observer->Pending(totals->pending, totals->pending_bytes);
}

absl::Status ObjectArtifactStore::Add(const std::string& path, absl::string_view key) {
  struct stat about;
  if (stat(path.c_str(), &about) != 0 || !S_ISREG(about.st_mode)) return absl::OkStatus();
  return with_.list->AddObject(Relative(path), key, about.st_size, with_.clock->Now());
}

absl::Status ObjectArtifactStore::AddNew(const std::string& path, absl::string_view key) {
  const absl::Status found = with_.list->FindObject(Relative(path)).status();
  return absl::IsNotFound(found) ? Add(path, key) : found;
}

absl::Status ObjectArtifactStore::Doom(absl::string_view path_prefix) {
  const absl::Status doomed = with_.list->DoomObjects(path_prefix, with_.clock->Now());
  thread_->kick()();
  return doomed;
}

absl::Status ObjectArtifactStore::Publish(const jobs::Publication& publication) {
  absl::Status status = with_.local->Publish(publication);
  if (!status.ok()) return status;
  const bool model = publication.kind == jobs::Publication::Kind::kModel;
  status =
      model ? Add(ArchivePath(publication.name, publication.version), ModelKey(publication.job_id))
            : Add(DatasetPath(publication.name, publication.version),
                  DatasetKey(publication.name, publication.version));
  ReportPending();
  thread_->kick()();
  return status;
}

absl::Status ObjectArtifactStore::KeepRegistry(const std::string& path) {
  const absl::Status added = Add(path, kRegistryKey);
  ReportPending();
  thread_->kick()();
  return added;
}

absl::Status ObjectArtifactStore::FreeJob(absl::string_view job_id) {
  absl::Status status = with_.local->FreeJob(job_id);
  if (status.ok()) status = AddLogs(job_id);
  if (status.ok()) status = KeepCheckpoint(job_id);
  thread_->kick()();
  return status;
}

absl::Status ObjectArtifactStore::AddLogs(absl::string_view job_id) {
  const std::string attempts = fs::path(AttemptDir(job_id, 1)).parent_path();
  for (const std::string& attempt : models::NamesIn(attempts)) {
    absl::Status added = AddNew(absl::StrCat(attempts, "/", attempt, "/worker.log"),
                                absl::StrCat(job_id, "/logs/", attempt, "/worker.log"));
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

// Of as many jobs as the folder keeps them of, by the list alone: the folder may have lost some.
absl::Status ObjectArtifactStore::KeepCheckpoint(absl::string_view job_id) {
  const std::string folder = absl::StrCat(options_.data_dir, "/checkpoints/", job_id);
  for (const std::string& name : models::NamesIn(folder)) {
    absl::Status added =
        AddNew(absl::StrCat(folder, "/", name), absl::StrCat(job_id, "/checkpoints/", name));
    if (!added.ok()) return added;
  }
  const auto all = with_.list->ListObjects("checkpoints/");
  if (!all.ok()) return all.status();
  std::set<std::string> kept;
  for (const jobs::ObjectRecord& record : *all) {
    const std::string owner = record.path.substr(0, record.path.rfind('/') + 1);
    if (kept.contains(owner)) continue;
    if (static_cast<int>(kept.size()) < options_.kept_checkpoints) {
      kept.insert(owner);
    } else if (auto doomed = Doom(owner); !doomed.ok()) {
      return doomed;
    }
  }
  return absl::OkStatus();
}

bool ObjectArtifactStore::HasCheckpoint(absl::string_view job_id) {
  if (with_.local->HasCheckpoint(job_id)) return true;
  const auto kept = with_.list->ListObjects(absl::StrCat("checkpoints/", job_id, "/"));
  return kept.ok() && !kept->empty();
}

absl::Status ObjectArtifactStore::HandCheckpoint(absl::string_view ended_id,
                                                 absl::string_view new_id) {
  const absl::Status handed = with_.local->HandCheckpoint(ended_id, new_id);
  if (!absl::IsNotFound(handed)) return handed;
  const auto kept = with_.list->ListObjects(absl::StrCat("checkpoints/", ended_id, "/"));
  if (!kept.ok() || kept->empty()) return handed;
  if (auto fetched = fetcher_.Fetch(kept->front().path); !fetched.ok()) return fetched;
  return with_.local->HandCheckpoint(ended_id, new_id);
}

absl::Status ObjectArtifactStore::CheckArchive(absl::string_view model, std::int64_t version,
                                               std::int64_t size_bytes, absl::string_view sha256) {
  const absl::Status fetched = Fetch(ArchivePath(model, version));
  return fetched.ok() ? with_.local->CheckArchive(model, version, size_bytes, sha256) : fetched;
}

absl::Status ObjectArtifactStore::RemoveJob(absl::string_view job_id) {
  absl::Status status = Doom(absl::StrCat("jobs/", job_id, "/"));
  if (status.ok()) status = Doom(absl::StrCat("checkpoints/", job_id, "/"));
  return status.ok() ? with_.local->RemoveJob(job_id) : status;
}

absl::Status ObjectArtifactStore::RemoveVersion(absl::string_view model, std::int64_t version) {
  const absl::Status doomed = Doom(absl::StrCat("models/", model, "/", version, "/"));
  return doomed.ok() ? with_.local->RemoveVersion(model, version) : doomed;
}

absl::Status ObjectArtifactStore::RemoveDataset(absl::string_view dataset, std::int64_t version) {
  const absl::Status doomed = Doom(absl::StrCat("datasets/", dataset, "/", version, "/"));
  return doomed.ok() ? with_.local->RemoveDataset(dataset, version) : doomed;
}

absl::Status ObjectArtifactStore::RemoveDatasetsBut(
    const std::vector<jobs::DatasetReference>& kept) {
  std::set<std::string> paths;
  for (const jobs::DatasetReference& version : kept) {
    paths.insert(Relative(DatasetPath(version.dataset, version.version)));
  }
  const auto all = with_.list->ListObjects("datasets/");
  if (!all.ok()) return all.status();
  for (const jobs::ObjectRecord& record : *all) {
    if (paths.contains(record.path)) continue;
    if (auto doomed = Doom(record.path); !doomed.ok()) return doomed;
  }
  return with_.local->RemoveDatasetsBut(kept);
}

absl::Status ObjectArtifactStore::AddVersions(const v1::Model& model) {
  for (const v1::ModelVersion& version : model.versions()) {
    const auto name = jobs::ParseModelName(version.name());
    const auto job = jobs::ParseJobName(version.job());
    if (!name.ok() || !job.ok()) continue;
    absl::Status added = AddNew(ArchivePath(name->model, version.version()), ModelKey(*job));
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

absl::Status ObjectArtifactStore::AddKnown() {
  const auto models = jobs::WholeModels(with_.models);
  if (!models.ok()) return models.status();
  for (const v1::Model& model : *models) {
    if (auto added = AddVersions(model); !added.ok()) return added;
  }
  const auto datasets = with_.datasets->ListDatasetVersions();
  if (!datasets.ok()) return datasets.status();
  for (const jobs::DatasetReference& one : *datasets) {
    absl::Status added =
        AddNew(DatasetPath(one.dataset, one.version), DatasetKey(one.dataset, one.version));
    if (!added.ok()) return added;
  }
  return absl::OkStatus();
}

}  // namespace atelier::objects
