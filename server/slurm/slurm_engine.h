// Slurm as an engine: a batch job for each attempt, submitted by sbatch, watched by one squeue a
// second for all of them, ended by scancel.
#ifndef ATELIER_SERVER_SLURM_SLURM_ENGINE_H_
#define ATELIER_SERVER_SLURM_SLURM_ENGINE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/jobs/executor.h"
#include "server/launch/command.h"
#include "server/launch/worker_command.h"
#include "server/remote/engine.h"
#include "server/slurm/slurm_commands.h"
#include "server/slurm/slurm_options.h"

namespace atelier::slurm {

// How a job stands by what squeue lists; nothing if it names a state that is not known. Of an end
// it says less than EndOf.
std::optional<jobs::LaunchStatus> StatusOf(const ListedJob& listed);

// How a job ended, by what scontrol says.
jobs::ProcessEnd EndOf(const std::string& id, const JobDetails& details);

// Thread-safe. A launch's name is the comment of its job. Nodes must see the worker's program and
// the attempt's folder under the same paths as this machine, and reach the address that workers
// dial. The token travels in the environment that sbatch passes on, the script on its standard
// input.
class SlurmEngine final : public remote::Engine {
 public:
  // FAILED_PRECONDITION if a program is not there.
  static absl::StatusOr<std::unique_ptr<SlurmEngine>> Create(
      SlurmOptions options, const launch::WorkerCommand::Options& worker,
      launch::CommandRunner runner = &launch::RunCommand);

  std::string Title(absl::string_view id) const override;
  bool has_gpus() const override { return !options_.gres.empty(); }
  absl::Status CheckArguments(absl::Span<const std::string> arguments) const override {
    return options_.CheckArguments(arguments);
  }
  absl::StatusOr<std::string> Submit(const jobs::LaunchRequest& request,
                                     const std::string& name) override;
  absl::StatusOr<std::vector<remote::ListedLaunch>> List() override;
  std::optional<jobs::ProcessEnd> AskEnd(const remote::LaunchKey& key,
                                         const jobs::ProcessEnd& listed) override;
  absl::Status Cancel(const std::vector<remote::ListedLaunch>& launches) override;

 private:
  SlurmEngine(SlurmOptions options, launch::WorkerCommand worker, SlurmCommands commands);

  std::vector<std::string> SubmitArguments(const jobs::LaunchRequest& request,
                                           const std::string& name) const;
  // The worker, or what starts one on each of several nodes.
  std::vector<std::string> ProgramOf(const jobs::LaunchRequest& request) const;

  const SlurmOptions options_;
  const launch::WorkerCommand worker_;
  const SlurmCommands commands_;
};

}  // namespace atelier::slurm

#endif  // ATELIER_SERVER_SLURM_SLURM_ENGINE_H_
