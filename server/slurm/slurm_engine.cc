#include "server/slurm/slurm_engine.h"

#include <cstdint>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace atelier::slurm {
namespace {

using Cause = jobs::ProcessEnd::Cause;

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
// Above what the job may use, so that its worker is the first to notice and says why.
constexpr std::int64_t kSpareMemory = 128 * kMebibyte;
// Warning before a time limit, in seconds: for a checkpoint.
constexpr int kWarning = 60;
// What srun adds to the number of the signal that killed a process.
constexpr int kKilledCode = 128;
// srun's own, where control groups ended a process for its memory.
constexpr int kOverMemoryCode = 253;
// In place of a signal, where slurmd could not open a batch job's output.
constexpr int kCannotBegin = 53;

std::string TitleOf(absl::string_view id) { return absl::StrCat("Slurm job ", id); }

// A node, or a list such as n[1-2] or n1,n7.
std::string NodesText(const std::string& nodes) {
  const bool several = nodes.find_first_of("[,") != std::string::npos;
  return absl::StrCat(several ? "nodes " : "node ", nodes);
}

// Whether it waits in the queue; a job that ran and does so will run anew.
bool IsQueued(const ListedJob& listed) {
  return listed.state == "PENDING" || absl::StartsWith(listed.state, "REQUEUE");
}

jobs::LaunchPending WaitOf(const ListedJob& listed) {
  const std::string job = TitleOf(listed.id);
  if (listed.state == "PENDING") {
    if (listed.reason.empty() || listed.reason == "None") {
      return {absl::StrCat(job, " has not been considered yet")};
    }
    return {absl::StrCat(job, " waits: ", listed.reason), listed.reason};
  }
  if (listed.state == "CONFIGURING") {
    return {absl::StrCat(job, " waits for its node to start: CONFIGURING"), listed.state};
  }
  return {absl::StrCat(job, " does not run: ", listed.state), listed.state};
}

jobs::ProcessEnd ListedEnd(const ListedJob& listed) {
  JobDetails details;
  details.state = listed.state;
  details.nodes = listed.nodes;
  return EndOf(listed.id, details);
}

remote::ListedLaunch LaunchOf(const ListedJob& listed) {
  remote::ListedLaunch launch;
  launch.key = {listed.id, listed.comment};
  launch.status = StatusOf(listed);
  launch.queued = IsQueued(listed);
  if (launch.queued && NeverRuns(listed.reason)) launch.never_why = listed.reason;
  return launch;
}

}  // namespace

std::optional<jobs::LaunchStatus> StatusOf(const ListedJob& listed) {
  const std::optional<Stage> stage = StageOf(listed.state);
  if (!stage.has_value()) return std::nullopt;
  if (*stage == Stage::kEnded) return ListedEnd(listed);
  if (*stage == Stage::kPending) return WaitOf(listed);
  return jobs::LaunchRunning{absl::StrCat(NodesText(listed.nodes), ", ", TitleOf(listed.id)),
                             NodesOf(listed.nodes)};
}

jobs::ProcessEnd EndOf(const std::string& id, const JobDetails& details) {
  const std::string job = TitleOf(id);
  const std::string where =
      details.nodes.empty() ? job : absl::StrCat(job, " on ", NodesText(details.nodes));
  if (details.state == "COMPLETED" || details.state == "FAILED") {
    if (details.signal == kCannotBegin) {
      return {
          absl::StrCat("Slurm could not begin it, as when its folder is not on the node, ", where),
          Cause::kUnknown};
    }
    if (details.exit_code == kOverMemoryCode) {
      return {absl::StrCat("over its memory limit, as srun says, ", where), Cause::kOutOfMemory};
    }
    const int signal =
        details.exit_code > kKilledCode ? details.exit_code - kKilledCode : details.signal;
    if (signal > 0) {
      return {absl::StrCat("killed by signal ", signal, ", ", where), Cause::kUnknown};
    }
    return launch::WorkerCommand::EndOf(
        absl::StrCat("exited with code ", details.exit_code, ", ", where), details.exit_code);
  }
  if (details.state == "OUT_OF_MEMORY") {
    return {absl::StrCat("ended by Slurm for want of memory: OUT_OF_MEMORY, ", where),
            Cause::kOutOfMemory};
  }
  return {absl::StrCat(details.state, ", ", where),
          details.state == "PREEMPTED" ? Cause::kPreempted : Cause::kUnknown};
}

absl::StatusOr<std::unique_ptr<SlurmEngine>> SlurmEngine::Create(
    SlurmOptions options, const launch::WorkerCommand::Options& worker,
    launch::CommandRunner runner) {
  auto command = launch::WorkerCommand::Create(worker);
  if (!command.ok()) return command.status();
  auto commands = SlurmCommands::Create(options.bin_dir, std::move(runner));
  if (!commands.ok()) return commands.status();
  return std::unique_ptr<SlurmEngine>(
      new SlurmEngine(std::move(options), *std::move(command), *std::move(commands)));
}

SlurmEngine::SlurmEngine(SlurmOptions options, launch::WorkerCommand worker, SlurmCommands commands)
    : options_(std::move(options)), worker_(std::move(worker)), commands_(std::move(commands)) {}

std::string SlurmEngine::Title(absl::string_view id) const { return TitleOf(id); }

std::vector<std::string> SlurmEngine::SubmitArguments(const jobs::LaunchRequest& request,
                                                      const std::string& name) const {
  const std::int64_t memory = request.resources.memory_bytes;
  const int nodes = request.resources.nodes;
  std::vector<std::string> arguments = {
      "--parsable",
      // An attempt is run once: its number, its token and its events are its own.
      "--no-requeue", absl::StrCat("--job-name=atelier-", request.job_id, "-", request.attempt),
      absl::StrCat("--comment=", name), absl::StrCat("--nodes=", nodes),
      absl::StrCat("--ntasks=", nodes), absl::StrCat("--cpus-per-task=", request.resources.cores),
      // The script's own process is the worker of one node, but none of several nodes' workers.
      absl::StrCat("--signal=", nodes == 1 ? "B:" : "", "TERM@", kWarning), "--open-mode=append",
      // A node that does not see the attempt's folder could not even begin.
      worker_.sends_log()
          ? "--output=/dev/null"
          : absl::StrCat("--output=", OutputPattern(request.attempt_dir), "/worker.log"),
      absl::StrCat("--chdir=", worker_.sends_log() ? "/" : request.attempt_dir),
      // All of what sbatch is given here, which is little.
      "--export=ALL"};
  if (nodes > 1) arguments.emplace_back("--ntasks-per-node=1");
  if (memory > 0) {
    arguments.push_back(
        absl::StrCat("--mem=", (memory + kSpareMemory + kMebibyte - 1) / kMebibyte, "M"));
  }
  if (request.resources.gpus > 0) {
    arguments.push_back(absl::StrCat("--gres=", options_.gres));
  }
  // Of an argument that is given twice sbatch takes the last.
  for (const auto* further : {&options_.arguments, &request.arguments}) {
    arguments.insert(arguments.end(), further->begin(), further->end());
  }
  return arguments;
}

std::vector<std::string> SlurmEngine::ProgramOf(const jobs::LaunchRequest& request) const {
  std::vector<std::string> worker = worker_.Arguments(request);
  const int nodes = request.resources.nodes;
  if (nodes == 1) return worker;
  // What the workers print becomes the script's own output. Since Slurm 22.05 srun does not take
  // the cores of a task from the job.
  std::vector<std::string> program = {
      commands_.srun(), absl::StrCat("--ntasks=", nodes), "--ntasks-per-node=1",
      absl::StrCat("--cpus-per-task=", request.resources.cores), "--mpi=none",
      // Without the others no worker goes on; but those that have done their share end before the
      // first one, which a cluster's WaitTime would end, too.
      "--kill-on-bad-exit=1", "--wait=0"};
  program.insert(program.end(), std::make_move_iterator(worker.begin()),
                 std::make_move_iterator(worker.end()));
  return program;
}

absl::StatusOr<std::string> SlurmEngine::Submit(const jobs::LaunchRequest& request,
                                                const std::string& name) {
  return commands_.Submit(SubmitArguments(request, name), worker_.Environment(request.token),
                          BatchScript(ProgramOf(request)));
}

absl::StatusOr<std::vector<remote::ListedLaunch>> SlurmEngine::List() {
  const auto jobs = commands_.List();
  if (!jobs.ok()) return jobs.status();
  std::vector<remote::ListedLaunch> launches;
  for (const ListedJob& listed : *jobs) launches.push_back(LaunchOf(listed));
  return launches;
}

std::optional<jobs::ProcessEnd> SlurmEngine::AskEnd(const remote::LaunchKey& key,
                                                    const jobs::ProcessEnd& listed) {
  const auto details = commands_.Show(key.id);
  if (details.ok()) return EndOf(key.id, *details);
  if (absl::IsNotFound(details.status())) return listed;
  return std::nullopt;
}

absl::Status SlurmEngine::Cancel(const std::vector<remote::ListedLaunch>& launches) {
  std::vector<std::string> queued;
  std::vector<std::string> begun;
  for (const remote::ListedLaunch& launch : launches) {
    (launch.queued ? queued : begun).push_back(launch.key.id);
  }
  return commands_.Cancel(queued, begun);
}

}  // namespace atelier::slurm
