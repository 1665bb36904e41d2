// Slurm's commands, as the executor uses them: sbatch, squeue, scontrol and scancel. Each is run
// without a shell and bounded in time and output.
#ifndef ATELIER_SERVER_SLURM_SLURM_COMMANDS_H_
#define ATELIER_SERVER_SLURM_SLURM_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/launch/command.h"
#include "server/slurm/slurm_text.h"

namespace atelier::slurm {

// Thread-safe: constant after construction. Errors everywhere: UNAVAILABLE when Slurm does not
// answer, or not sensibly, with what it said; nothing is known then.
class SlurmCommands {
 public:
  // The commands are in `bin_dir`, or in the folders of PATH if that is empty. FAILED_PRECONDITION,
  // a sentence that names what is missing.
  static absl::StatusOr<SlurmCommands> Create(const std::string& bin_dir,
                                              launch::CommandRunner runner);

  // Submits a script with arguments for sbatch and an environment; answers with the job's id.
  // INVALID_ARGUMENT if Slurm would refuse it again. After any other error the job may be there.
  absl::StatusOr<std::string> Submit(const std::vector<std::string>& arguments,
                                     const std::vector<std::string>& environment,
                                     const std::string& script) const;

  // All jobs of this user, also those that ended a short while ago.
  absl::StatusOr<std::vector<ListedJob>> List() const;

  // NOT_FOUND if Slurm no longer knows the job.
  absl::StatusOr<JobDetails> Show(const std::string& id) const;

  // The program by which a job's script starts a process on each of its nodes, as it is found
  // there: beside the others, or in the folders of PATH.
  const std::string& srun() const { return srun_; }

  // Ends jobs; those in `running` at once.
  absl::Status Cancel(const std::vector<std::string>& pending,
                      const std::vector<std::string>& running) const;

 private:
  SlurmCommands() = default;

  absl::StatusOr<launch::CommandResult> Run(launch::Command command) const;

  launch::CommandRunner runner_;
  std::string sbatch_, squeue_, scontrol_, scancel_, srun_;
};

}  // namespace atelier::slurm

#endif  // ATELIER_SERVER_SLURM_SLURM_COMMANDS_H_
