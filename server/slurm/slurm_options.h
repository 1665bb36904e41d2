// What an operator chooses of the Slurm executor: the flags --slurm_*, validated. Values;
// thread-safe.
#ifndef ATELIER_SERVER_SLURM_SLURM_OPTIONS_H_
#define ATELIER_SERVER_SLURM_SLURM_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/remote/engine_flags.h"

namespace atelier::slurm {

struct SlurmOptions {
  std::string bin_dir;  // Where the commands are; empty: in the folders of PATH.
  std::string gres;     // What a job on a GPU asks for, such as gpu:1; empty: none do.
  std::vector<std::string> arguments;  // For every job: partition, account, QOS and further ones.
  std::vector<std::string> allowed;    // Names of arguments that a job may give, such as `time`.

  // From the values of flags, by their names: slurm_partition, slurm_account, slurm_qos,
  // slurm_gres, slurm_args, slurm_allow, slurm_bin. A missing one is empty. INVALID_ARGUMENT with a
  // sentence that names the first wrong flag.
  static absl::StatusOr<SlurmOptions> Create(const remote::EngineFlags& flags);

  // INVALID_ARGUMENT with what is wrong with the arguments that somebody gives for a job, without
  // the full stop.
  absl::Status CheckArguments(absl::Span<const std::string> given) const;
};

}  // namespace atelier::slurm

#endif  // ATELIER_SERVER_SLURM_SLURM_OPTIONS_H_
