// ExperimentController: requests and watchers.
#include "server/jobs/experiment_controller.h"

#include <random>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/experiment_request.h"
#include "server/jobs/experiment_state.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/timestamps.h"

namespace atelier::jobs {
namespace {

constexpr int kExperimentIdTries = 1000;  // Suffixes tried for an experiment's id.

std::string Canonical(v1::StartExperimentRequest request) {
  request.clear_request_id();
  return request.SerializeAsString();
}

// Every configuration with the first seed, then with the next: what comes first tells something
// about every configuration.
std::vector<RunRecord> MakeRuns(const ResolvedExperiment& resolved) {
  std::random_device source;
  std::string prefix = "run";
  for (int i = 0; i < 3; ++i) absl::StrAppend(&prefix, absl::Hex(source(), absl::kZeroPad8));
  std::vector<RunRecord> runs;
  for (const std::int64_t seed : resolved.seeds) {
    for (std::size_t i = 0; i < resolved.configurations.size(); ++i) {
      RunRecord& record = runs.emplace_back();
      record.run.set_index(static_cast<int>(runs.size()) - 1);
      record.run.set_configuration(static_cast<int>(i));
      record.run.set_seed(seed);
      record.run.set_state(v1::RUN_STATE_WAITING);
      record.request_id = absl::StrCat(prefix, "-", record.run.index());
    }
  }
  return runs;
}

v1::Experiment Shown(v1::Experiment experiment, std::vector<RunRecord> runs) {
  for (RunRecord& record : runs) {
    CountRuns(record.run.state(), 1, &experiment);
    *experiment.add_runs() = std::move(record.run);
  }
  return experiment;
}

}  // namespace

ExperimentController::ExperimentController(Options options, Dependencies dependencies)
    : options_(std::move(options)), with_(dependencies) {}

absl::StatusOr<std::unique_ptr<ExperimentController>> ExperimentController::Create(
    Options options, Dependencies dependencies) {
  auto unended = dependencies.experiments->ListUnendedExperiments();
  if (!unended.ok()) return unended.status();
  std::unique_ptr<ExperimentController> controller(
      new ExperimentController(std::move(options), dependencies));
  for (const std::string& id : *unended) controller->Watch(id);
  return controller;
}

absl::StatusOr<v1::Experiment> ExperimentController::Start(
    const v1::StartExperimentRequest& request, const std::string& creator) {
  ExperimentRecord record;
  record.request_id = request.request_id();
  record.request = Canonical(request);
  // Before anything is looked at that may have changed since: a data set may be gone.
  auto before = FindRepeat(creator, request, record.request);
  if (!before.ok()) return before.status();
  if (before->has_value()) return **std::move(before);
  auto resolved = ResolveExperiment(request, *with_.resolver);
  if (!resolved.ok()) return resolved.status();
  if (auto status = CheckStartArchives(*resolved); !status.ok()) return status;
  v1::Experiment* const experiment = &record.experiment;
  experiment->set_state(v1::EXPERIMENT_STATE_RUNNING);
  experiment->set_creator(creator);
  experiment->mutable_seeds()->Assign(resolved->seeds.begin(), resolved->seeds.end());
  for (const v1::TrainingSpec& spec : resolved->configurations) {
    *experiment->add_configurations() = spec;
  }
  std::string id;
  {
    MutexLock lock(&mutex_);
    auto repeat = FindRepeat(creator, request, record.request);
    if (!repeat.ok()) return repeat.status();
    if (repeat->has_value()) return **std::move(repeat);
    if (const std::size_t unended = Unended().size(); unended >= options_.max_unended) {
      return Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_EXPERIMENTS",
                   absl::StrCat(unended,
                                " experiments are under way, more are not taken; try "
                                "again when one has ended."));
    }
    auto inserted = Insert(std::move(record), MakeRuns(*resolved), resolved->base_name);
    if (!inserted.ok()) return inserted.status();
    id = *std::move(inserted);
    Watch(id);
  }
  Kick();
  return Get(id);
}

absl::Status ExperimentController::CheckStartArchives(const ResolvedExperiment& resolved) {
  std::set<std::string> known;
  for (const v1::TrainingSpec& spec : resolved.configurations) {
    if (!known.insert(spec.start_from()).second) continue;
    if (auto status = with_.jobs->CheckArchive(spec.start_from()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<v1::Experiment>> ExperimentController::FindRepeat(
    const std::string& creator, const v1::StartExperimentRequest& request,
    const std::string& canonical) {
  if (request.request_id().empty()) return std::optional<v1::Experiment>();
  auto before = with_.experiments->FindExperimentByRequestId(creator, request.request_id());
  if (!before.ok()) return before.status();
  if (!before->has_value()) {
    auto deleted = with_.experiments->FindDeletedExperimentByRequestId(
        creator, request.request_id(), with_.clock->Now());
    if (!deleted.ok()) return deleted.status();
    if (!deleted->has_value()) return std::optional<v1::Experiment>();
    return Error(
        absl::StatusCode::kAlreadyExists, "EXPERIMENT_DELETED",
        absl::StrCat("The request id ", request.request_id(), " made ", ExperimentName(**deleted),
                     ", which was deleted; use a new id for a new experiment."));
  }
  if ((*before)->request != canonical) {
    return Error(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                 absl::StrCat("The request id ", request.request_id(), " already made ",
                              (*before)->experiment.name(),
                              " from another request; use a new id for a new experiment."));
  }
  auto shown = Get((*before)->id);
  if (!shown.ok()) return shown.status();
  return std::optional<v1::Experiment>(*std::move(shown));
}

absl::StatusOr<std::string> ExperimentController::Insert(ExperimentRecord record,
                                                         const std::vector<RunRecord>& runs,
                                                         const std::string& base_name) {
  const absl::Time now = with_.clock->Now();
  *record.experiment.mutable_create_time() = ToTimestamp(now);
  const std::string stem =
      absl::StrCat(base_name, "-", absl::FormatTime("%Y%m%d-%H%M%S", now, absl::UTCTimeZone()));
  for (int i = 1; i <= kExperimentIdTries; ++i) {
    record.id = i == 1 ? stem : absl::StrCat(stem, "-", i);
    record.experiment.set_name(ExperimentName(record.id));
    auto status = with_.experiments->InsertExperiment(record, runs);
    if (status.ok()) return record.id;
    if (!absl::IsAlreadyExists(status)) return status;
  }
  return Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_EXPERIMENTS",
               absl::StrCat("More than ", kExperimentIdTries, " experiments named ", base_name,
                            " were started in one second; try again."));
}

absl::StatusOr<v1::Experiment> ExperimentController::Get(absl::string_view id) {
  auto record = with_.experiments->LoadExperiment(id);
  if (!record.ok()) return record.status();
  auto runs = with_.experiments->ReadRuns(id);
  if (!runs.ok()) return runs.status();
  return Shown(std::move(record->experiment), *std::move(runs));
}

absl::StatusOr<v1::ListExperimentsResponse> ExperimentController::List(
    const v1::ListExperimentsRequest& request) {
  auto size = ResolvePageSize(request.page_size(), 50, 1000);
  if (!size.ok()) return size.status();
  auto page = with_.experiments->ListExperiments(*size, request.page_token());
  if (!page.ok()) return page.status();
  v1::ListExperimentsResponse response;
  for (v1::Experiment& experiment : page->experiments) {
    *response.add_experiments() = std::move(experiment);
  }
  response.set_next_page_token(page->next_page_token);
  return response;
}

absl::StatusOr<v1::Experiment> ExperimentController::Stop(absl::string_view id) {
  {
    MutexLock lock(&mutex_);
    auto record = with_.experiments->LoadExperiment(id);
    if (!record.ok()) return record.status();
    if (record->experiment.state() == v1::EXPERIMENT_STATE_COMPLETED) {
      return Error(absl::StatusCode::kFailedPrecondition, "EXPERIMENT_ENDED",
                   absl::StrCat("Experiment ", id,
                                " is completed; only one that is under way can be stopped."));
    }
    if (record->experiment.state() == v1::EXPERIMENT_STATE_RUNNING) {
      record->experiment.set_state(v1::EXPERIMENT_STATE_STOPPING);
      auto status = with_.experiments->CommitExperiment(
          *record, "The experiment was stopped before this run became a job.");
      if (!status.ok()) return status;
    }
  }
  Kick();
  return Get(id);
}

absl::Status ExperimentController::Delete(absl::string_view id) {
  MutexLock lock(&mutex_);
  auto record = with_.experiments->LoadExperiment(id);
  if (!record.ok()) return record.status();
  if (!IsTerminal(record->experiment.state())) {
    return Error(absl::StatusCode::kFailedPrecondition, "EXPERIMENT_NOT_ENDED",
                 absl::StrCat("Experiment ", id, " is under way; stop it before deleting it."));
  }
  return with_.experiments->DeleteExperiment(id, with_.clock->Now());
}

absl::StatusOr<ExperimentView> ExperimentController::Look(absl::string_view id) {
  ExperimentView view;
  {
    // Before the store is read: what changes meanwhile is a newer version.
    MutexLock lock(&watch_mutex_);
    const auto watched = watched_.find(id);
    if (watched != watched_.end()) view.version = watched->second.version;
  }
  auto experiment = Get(id);
  if (!experiment.ok()) return experiment.status();
  view.experiment = *std::move(experiment);
  return view;
}

std::optional<std::uint64_t> ExperimentController::Subscribe(absl::string_view id,
                                                             std::uint64_t version,
                                                             WakeFunction wake) {
  MutexLock lock(&watch_mutex_);
  const auto watched = watched_.find(id);
  if (watched == watched_.end() || watched->second.version != version) return std::nullopt;
  const std::uint64_t subscription = next_subscription_++;
  watched->second.subscribers.emplace(subscription, std::move(wake));
  return subscription;
}

bool ExperimentController::Unsubscribe(absl::string_view id, std::uint64_t subscription) {
  MutexLock lock(&watch_mutex_);
  const auto watched = watched_.find(id);
  return watched != watched_.end() && watched->second.subscribers.erase(subscription) > 0;
}

void ExperimentController::SetKick(std::function<void()> kick) {
  MutexLock lock(&watch_mutex_);
  kick_ = std::move(kick);
}

void ExperimentController::Kick() {
  std::function<void()> kick;
  {
    MutexLock lock(&watch_mutex_);
    kick = kick_;
  }
  if (kick) kick();
}

void ExperimentController::Watch(const std::string& id) {
  MutexLock lock(&watch_mutex_);
  watched_[id];
}

std::vector<std::string> ExperimentController::Unended() {
  MutexLock lock(&watch_mutex_);
  std::vector<std::string> ids;
  for (const auto& [id, watched] : watched_) ids.push_back(id);
  return ids;
}

void ExperimentController::Show(const std::string& id, std::size_t fingerprint, bool ended) {
  WakeList wakes;
  {
    MutexLock lock(&watch_mutex_);
    const auto found = watched_.find(id);
    if (found == watched_.end()) return;
    Watched& watched = found->second;
    if (!ended && watched.fingerprint == fingerprint) return;
    watched.fingerprint = fingerprint;
    ++watched.version;
    for (auto& [subscription, wake] : watched.subscribers) wakes.push_back(std::move(wake));
    watched.subscribers.clear();
    if (ended) watched_.erase(found);
  }
  for (const WakeFunction& wake : wakes) wake();
}

}  // namespace atelier::jobs
