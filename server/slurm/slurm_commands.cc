#include "server/slurm/slurm_commands.h"

#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/launch/environment.h"

namespace atelier::slurm {
namespace {

// A cluster may have ten thousands of jobs of one user; a line is about a hundred bytes.
constexpr std::size_t kMaxList = std::size_t{16} << 20;

// Of Slurm's own variables only the one that says where its configuration is: others would change
// what the commands do.
std::vector<std::string> WithConfiguration(std::vector<std::string> environment) {
  const char* const configuration = std::getenv("SLURM_CONF");
  if (configuration != nullptr) {
    environment.push_back(absl::StrCat("SLURM_CONF=", configuration));
  }
  return environment;
}

absl::Status Unanswered(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat("Slurm does not answer: ", what));
}

}  // namespace

absl::StatusOr<SlurmCommands> SlurmCommands::Create(const std::string& bin_dir,
                                                    launch::CommandRunner runner) {
  SlurmCommands commands;
  commands.runner_ = std::move(runner);
  commands.srun_ = bin_dir.empty() ? "srun" : absl::StrCat(bin_dir, "/srun");
  const std::pair<const char*, std::string*> programs[] = {{"sbatch", &commands.sbatch_},
                                                           {"squeue", &commands.squeue_},
                                                           {"scontrol", &commands.scontrol_},
                                                           {"scancel", &commands.scancel_}};
  for (const auto& [name, path] : programs) {
    if (!bin_dir.empty()) {
      *path = absl::StrCat(bin_dir, "/", name);
      if (access(path->c_str(), X_OK) == 0) continue;
      return absl::FailedPreconditionError(absl::StrCat("--slurm_bin: cannot run ", *path,
                                                        "; give the folder of Slurm's commands."));
    }
    auto found = launch::FindProgram(name);
    if (!found.ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat("--executor=slurm: ", found.status().message(),
                       "; install Slurm's commands (Debian: slurm-client) or give their folder, "
                       "--slurm_bin."));
    }
    *path = *std::move(found);
  }
  return commands;
}

absl::StatusOr<launch::CommandResult> SlurmCommands::Run(launch::Command command) const {
  if (command.environment.empty()) {
    command.environment = WithConfiguration(launch::WorkerEnvironment({}));
  }
  auto result = runner_(command);
  if (!result.ok()) return Unanswered(result.status().message());
  return result;
}

absl::StatusOr<std::string> SlurmCommands::Submit(const std::vector<std::string>& arguments,
                                                  const std::vector<std::string>& environment,
                                                  const std::string& script) const {
  launch::Command command;
  command.arguments = {sbatch_};
  command.arguments.insert(command.arguments.end(), arguments.begin(), arguments.end());
  command.environment = WithConfiguration(environment);
  command.input = script;
  const auto result = Run(std::move(command));
  if (!result.ok()) return result.status();
  if (result->exit_code != 0) {
    const std::string complaint = Complaint(result->errors);
    if (RefusesForGood(result->errors)) {
      return absl::InvalidArgumentError(absl::StrCat("Slurm refuses it: ", complaint));
    }
    return absl::UnavailableError(absl::StrCat("Slurm did not take it: ", complaint));
  }
  auto id = ParseSubmitted(result->output);
  if (!id.ok()) return Unanswered(id.status().message());
  return id;
}

absl::StatusOr<std::vector<ListedJob>> SlurmCommands::List() const {
  launch::Command command;
  command.arguments = {squeue_, "--noheader", "--me", "--states=all",
                       absl::StrCat("--format=", kListFormat)};
  command.max_output = kMaxList;
  const auto result = Run(std::move(command));
  if (!result.ok()) return result.status();
  if (result->exit_code != 0) return Unanswered(Complaint(result->errors));
  auto jobs = ParseList(result->output);
  if (!jobs.ok()) return Unanswered(jobs.status().message());
  return jobs;
}

absl::StatusOr<JobDetails> SlurmCommands::Show(const std::string& id) const {
  launch::Command command;
  command.arguments = {scontrol_, "--oneliner", "show", "job", id};
  const auto result = Run(std::move(command));
  if (!result.ok()) return result.status();
  if (result->exit_code != 0) {
    if (absl::StrContains(result->errors, "Invalid job id")) {
      return absl::NotFoundError(absl::StrCat("Slurm no longer knows job ", id));
    }
    return Unanswered(Complaint(result->errors));
  }
  auto details = ParseDetails(result->output);
  if (!details.ok()) return Unanswered(details.status().message());
  return details;
}

absl::Status SlurmCommands::Cancel(const std::vector<std::string>& pending,
                                   const std::vector<std::string>& running) const {
  absl::Status status;
  const auto cancel = [&](std::vector<std::string> arguments, const auto& ids) {
    if (ids.empty()) return;
    launch::Command command;
    command.arguments = std::move(arguments);
    command.arguments.insert(command.arguments.end(), ids.begin(), ids.end());
    const auto result = Run(std::move(command));
    status.Update(result.status());
    if (result.ok() && result->exit_code != 0) status.Update(Unanswered(Complaint(result->errors)));
  };
  cancel({scancel_, "--full", "--signal=KILL"}, running);
  cancel({scancel_}, pending);
  return status;
}

}  // namespace atelier::slurm
