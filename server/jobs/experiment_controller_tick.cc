// ExperimentController: what becomes of experiments that have not ended.
#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/lifecycle/lifecycle.h"
#include "proto/lifecycle/network_title.h"
#include "server/jobs/error.h"
#include "server/jobs/experiment_controller.h"
#include "server/jobs/experiment_request.h"
#include "server/jobs/experiment_state.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/timestamps.h"

namespace atelier::jobs {
namespace {

constexpr std::size_t kMaxBaseName = 40;

// Tells the configurations apart where there is room for it.
std::string JobBaseName(const ExperimentRecord& record, const v1::TrainingSpec& spec) {
  v1::StartExperimentRequest request;
  request.ParseFromString(record.request);
  const std::string base = BaseName(request);
  const std::string longer = absl::StrCat(base, "-", NetworkTitle(spec));
  return IsSlug(longer, kMaxBaseName) ? longer : base;
}

// DATA_LOSS if the experiment lacks the run's configuration.
absl::StatusOr<v1::StartTrainingRequest> RequestOf(const ExperimentRecord& record,
                                                   const RunRecord& run) {
  const int configuration = run.run.configuration();
  if (configuration < 0 || configuration >= record.experiment.configurations_size()) {
    return absl::DataLossError(absl::StrCat("The database is damaged: the experiment has no ",
                                            "configuration ", configuration, "."));
  }
  v1::StartTrainingRequest request;
  *request.mutable_spec() = record.experiment.configurations(configuration);
  request.mutable_spec()->set_seed(run.run.seed());
  request.set_base_name(JobBaseName(record, request.spec()));
  request.set_request_id(run.request_id);
  return request;
}

// What will be no other when it is tried again.
bool IsFinal(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsAlreadyExists(status) ||
         absl::IsDataLoss(status);
}

std::size_t Fingerprint(const ExperimentRecord& record, const std::vector<RunRecord>& runs) {
  std::string text = absl::StrCat(record.experiment.state());
  for (const RunRecord& run : runs) run.run.AppendToString(&text);
  return std::hash<std::string>()(text);
}

}  // namespace

absl::Duration ExperimentController::Tick() {
  absl::Duration wait = absl::InfiniteDuration();
  std::vector<std::string> ids = Unended();
  // So that what is tried first does not depend on chance.
  std::sort(ids.begin(), ids.end());
  for (const std::string& id : ids) {
    const absl::Status status = TickOne(id);
    if (status.ok()) continue;
    wait = options_.retry_delay;
    // A full queue is no failure, and neither is a server that is about to stop.
    if (options_.log && ReasonOf(status) != "QUEUE_FULL" && ReasonOf(status) != "SHUTTING_DOWN") {
      options_.log(absl::StrCat("Experiment ", id, " cannot go on yet: ", status.message()));
    }
  }
  return wait;
}

absl::Status ExperimentController::TickOne(const std::string& id) {
  absl::Status result;
  std::size_t fingerprint = 0;
  bool ended = false;
  {
    MutexLock lock(&mutex_);
    auto record = with_.experiments->LoadExperiment(id);
    if (!record.ok()) return record.status();
    auto runs = with_.experiments->ReadRuns(id);
    if (!runs.ok()) return runs.status();
    result = record->experiment.state() == v1::EXPERIMENT_STATE_STOPPING ? StopJobs(*runs)
                                                                         : Feed(*record, &*runs);
    if (const absl::Status status = EndIfDone(*runs, &*record); !status.ok()) return status;
    fingerprint = Fingerprint(*record, *runs);
    ended = IsTerminal(record->experiment.state());
  }
  Show(id, fingerprint, ended);
  return result;
}

absl::Status ExperimentController::Feed(const ExperimentRecord& record,
                                        std::vector<RunRecord>* runs) {
  const auto count = [runs](v1::RunState state) {
    return std::count_if(runs->begin(), runs->end(),
                         [state](const RunRecord& run) { return run.run.state() == state; });
  };
  auto queued = count(v1::RUN_STATE_QUEUED);
  for (RunRecord& run : *runs) {
    if (queued >= options_.queued_jobs) break;
    if (run.run.state() != v1::RUN_STATE_WAITING) continue;
    if (const absl::Status status = FeedOne(record, &run); !status.ok()) return status;
    if (run.run.state() == v1::RUN_STATE_QUEUED) ++queued;
  }
  return absl::OkStatus();
}

absl::Status ExperimentController::FeedOne(const ExperimentRecord& record, RunRecord* run) {
  const auto request = RequestOf(record, *run);
  auto job = request.ok() ? with_.jobs->Start(*request, record.experiment.creator())
                          : absl::StatusOr<v1::TrainingJob>(request.status());
  if (job.ok()) {
    run->run.set_job(job->name());
    run->run.set_state(RunStateOf(job->state()));
    return absl::OkStatus();
  }
  if (!IsFinal(job.status())) return job.status();
  // Such as a data set that the server no longer has.
  const std::string reason(job.status().message());
  auto status = with_.experiments->RefuseRun(record.id, run->run.index(), reason);
  if (!status.ok()) return status;
  run->run.set_state(v1::RUN_STATE_FAILED);
  run->run.set_message(reason);
  return absl::OkStatus();
}

absl::Status ExperimentController::StopJobs(const std::vector<RunRecord>& runs) {
  absl::Status result;
  for (const RunRecord& run : runs) {
    if (IsTerminal(run.run.state()) || run.run.state() == v1::RUN_STATE_WAITING) continue;
    auto id = ParseJobName(run.run.job());
    if (!id.ok()) return id.status();
    const absl::Status stopped = with_.jobs->Stop(*id).status();
    // It may have ended, or been deleted, a moment ago.
    if (!stopped.ok() && !absl::IsFailedPrecondition(stopped) && !absl::IsNotFound(stopped)) {
      result = stopped;
    }
  }
  return result;
}

absl::Status ExperimentController::EndIfDone(const std::vector<RunRecord>& runs,
                                             ExperimentRecord* record) {
  const bool done = std::all_of(runs.begin(), runs.end(),
                                [](const RunRecord& run) { return IsTerminal(run.run.state()); });
  if (!done || IsTerminal(record->experiment.state())) return absl::OkStatus();
  ExperimentRecord ended = *record;
  ended.experiment.set_state(record->experiment.state() == v1::EXPERIMENT_STATE_STOPPING
                                 ? v1::EXPERIMENT_STATE_STOPPED
                                 : v1::EXPERIMENT_STATE_COMPLETED);
  // Never before it began, though the clock may have been set back.
  *ended.experiment.mutable_end_time() =
      ToTimestamp(std::max(with_.clock->Now(), FromTimestamp(record->experiment.create_time())));
  auto status = with_.experiments->CommitExperiment(ended, std::nullopt);
  if (status.ok()) *record = std::move(ended);
  return status;
}

}  // namespace atelier::jobs
