#include "server/slurm/slurm_ledger.h"

#include <optional>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/launch/worker_command.h"

namespace atelier::slurm {
namespace {

using Cause = jobs::ProcessEnd::Cause;

// In place of a signal, where slurmd could not open a batch job's output.
constexpr int kCannotBegin = 53;

// What was said of a job, to be compared.
std::string TextOf(const jobs::LaunchStatus& status) {
  if (const auto* pending = std::get_if<jobs::LaunchPending>(&status)) {
    return absl::StrCat("pending ", pending->why);
  }
  const auto* running = std::get_if<jobs::LaunchRunning>(&status);
  return running == nullptr ? "ended" : absl::StrCat("running ", running->where);
}

}  // namespace

absl::StatusOr<JobKey> JobKey::Parse(absl::string_view handle) {
  const std::size_t colon = handle.find(':');
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::StartsWith(handle.substr(colon + 1), "atelier:")) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", handle, "' names no Slurm job; it would be <id>:atelier:…"));
  }
  return JobKey{std::string(handle.substr(0, colon)), std::string(handle.substr(colon + 1))};
}

std::string JobKey::ToHandle() const { return absl::StrCat(id, ":", comment); }

jobs::LaunchStatus StatusOf(const ListedJob& listed) {
  const std::string job = absl::StrCat("Slurm job ", listed.id);
  if (StageOf(listed.state) == Stage::kRunning) {
    return jobs::LaunchRunning{absl::StrCat("node ", listed.nodes, ", ", job)};
  }
  if (listed.state == "PENDING") {
    if (listed.reason.empty() || listed.reason == "None") {
      return jobs::LaunchPending{absl::StrCat(job, " has not been considered yet")};
    }
    return jobs::LaunchPending{absl::StrCat(job, " waits: ", listed.reason)};
  }
  if (listed.state == "CONFIGURING") {
    return jobs::LaunchPending{absl::StrCat(job, " waits for its node to start: CONFIGURING")};
  }
  return jobs::LaunchPending{absl::StrCat(job, " does not run: ", listed.state)};
}

jobs::ProcessEnd EndOf(const std::string& id, const JobDetails& details) {
  const std::string job = absl::StrCat("Slurm job ", id);
  const std::string where =
      details.nodes.empty() ? job : absl::StrCat(job, " on node ", details.nodes);
  if (details.state == "COMPLETED" || details.state == "FAILED") {
    if (details.signal == kCannotBegin) {
      return {
          absl::StrCat("Slurm could not begin it, as when its folder is not on the node, ", where),
          Cause::kUnknown};
    }
    if (details.signal > 0) {
      return {absl::StrCat("killed by signal ", details.signal, ", ", where), Cause::kUnknown};
    }
    return launch::WorkerCommand::EndOf(
        absl::StrCat("exited with code ", details.exit_code, ", ", where), details.exit_code);
  }
  if (details.state == "OUT_OF_MEMORY") {
    return {absl::StrCat("ended by Slurm for want of memory: OUT_OF_MEMORY, ", where),
            Cause::kOutOfMemory};
  }
  if (details.state.empty()) {
    return {absl::StrCat("Slurm no longer lists job ", id), Cause::kUnknown};
  }
  return {absl::StrCat(details.state, ", ", where),
          details.state == "PREEMPTED" ? Cause::kPreempted : Cause::kUnknown};
}

void SlurmLedger::Watch(const JobKey& key, const jobs::LaunchStatus& told, absl::Duration now) {
  Job job{.key = key, .since = now};
  job.told = TextOf(told);
  job.ran = std::holds_alternative<jobs::LaunchRunning>(told);
  jobs_.insert_or_assign(key.ToHandle(), std::move(job));
}

void SlurmLedger::Doom(const std::string& handle) {
  if (const auto job = jobs_.find(handle); job != jobs_.end()) job->second.doomed = true;
}

SlurmLedger::Findings SlurmLedger::Take(const std::vector<ListedJob>& list, absl::Duration asked,
                                        absl::Duration now) {
  Findings findings;
  AdoptUnknown(list, now, &findings);
  std::map<absl::string_view, const ListedJob*> by_id;
  for (const ListedJob& listed : list) by_id[listed.id] = &listed;
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    const auto found = by_id.find(job->second.key.id);
    const ListedJob* listed = found == by_id.end() ? nullptr : found->second;
    if (listed != nullptr && listed->comment != job->second.key.comment) listed = nullptr;
    job = TakeOne(listed, asked, now, &job->second, &findings) ? std::next(job) : jobs_.erase(job);
  }
  return findings;
}

void SlurmLedger::AdoptUnknown(const std::vector<ListedJob>& list, absl::Duration now,
                               Findings* findings) {
  for (const ListedJob& listed : list) {
    const JobKey key{listed.id, listed.comment};
    const std::optional<Stage> stage = StageOf(listed.state);
    if (!absl::StartsWith(listed.comment, options_.prefix) || stage == Stage::kEnded ||
        launching_.contains(listed.comment) || jobs_.contains(key.ToHandle())) {
      continue;
    }
    Job job{.key = key, .since = now};
    job.watched = false;
    job.doomed = true;
    jobs_.emplace(key.ToHandle(), std::move(job));
    findings->unknown.push_back(listed.comment);
  }
}

bool SlurmLedger::TakeOne(const ListedJob* listed, absl::Duration asked, absl::Duration now,
                          Job* job, Findings* findings) const {
  if (listed == nullptr) {
    // A list that was asked for before the job was there says nothing of it.
    if (job->since >= asked || ++job->absent < options_.absences) return true;
    if (job->watched) findings->ended.emplace_back(job->key, JobDetails());
    return job->watched;
  }
  job->absent = 0;
  const std::optional<Stage> stage = StageOf(listed->state);
  if (!stage.has_value()) return true;
  if (*stage == Stage::kEnded) {
    JobDetails details;
    details.state = listed->state;
    details.nodes = listed->nodes;
    if (job->watched) findings->ended.emplace_back(job->key, std::move(details));
    return job->watched;
  }
  if (*stage == Stage::kPending) JudgePending(*listed, job, findings);
  job->ran = job->ran || *stage == Stage::kRunning;
  Tell(StatusOf(*listed), job, findings);
  if (job->doomed && now >= job->next_cancel) {
    job->next_cancel = now + options_.cancel_interval;
    (listed->state == "PENDING" ? findings->cancel_pending : findings->cancel_running)
        .push_back(job->key.id);
  }
  return true;
}

void SlurmLedger::JudgePending(const ListedJob& listed, Job* job, Findings* findings) const {
  std::optional<jobs::ProcessEnd> end;
  const bool queued = listed.state == "PENDING" || absl::StartsWith(listed.state, "REQUEUE");
  job->refused = NeverRuns(listed.reason) && queued ? job->refused + 1 : 0;
  if (job->ran && queued) {
    end = {absl::StrCat("put back into the queue, Slurm job ", listed.id), Cause::kPreempted};
  } else if (job->refused >= options_.refusals) {
    end = {absl::StrCat("Slurm will not start job ", listed.id,
                        " as it is asked for: ", listed.reason),
           Cause::kRefused};
  }
  if (!end.has_value()) return;
  job->doomed = true;
  if (std::exchange(job->watched, false)) {
    findings->news.emplace_back(job->key.ToHandle(), *std::move(end));
  }
}

void SlurmLedger::Tell(const jobs::LaunchStatus& status, Job* job, Findings* findings) {
  std::string text = TextOf(status);
  if (!job->watched || text == job->told) return;
  job->told = std::move(text);
  findings->news.emplace_back(job->key.ToHandle(), status);
}

SlurmLedger::Findings SlurmLedger::TakeSilence(absl::string_view why) {
  Findings findings;
  for (auto& [handle, job] : jobs_) {
    if (job.ran) continue;
    Tell(jobs::LaunchPending{absl::StrCat("Slurm job ", job.key.id, ": ", why)}, &job, &findings);
  }
  return findings;
}

}  // namespace atelier::slurm
