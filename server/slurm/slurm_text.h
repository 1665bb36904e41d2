// What Slurm's commands print and take, as text: pure functions. Thread-safe.
#ifndef ATELIER_SERVER_SLURM_SLURM_TEXT_H_
#define ATELIER_SERVER_SLURM_SLURM_TEXT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace atelier::slurm {

// What a state of a Slurm job means.
enum class Stage { kPending, kRunning, kEnded };

// The stage of a state that squeue names, such as PENDING; nothing for one that is not known.
std::optional<Stage> StageOf(absl::string_view state);

// True for a reason to wait that no waiting ends: what was asked for is not there or not allowed.
bool NeverRuns(absl::string_view reason);

// True for what sbatch says of a request that would be refused again; false for trouble that
// passes, and for what is not known.
bool RefusesForGood(absl::string_view error);

// A job that squeue lists, as kListFormat asks for it.
struct ListedJob {
  std::string id;
  std::string state;
  std::string reason;  // Why it waits; "None" for nothing.
  std::string nodes;   // Empty while it has none.
  std::string comment;
};

inline constexpr char kListFormat[] = "%i|%T|%r|%N|%k";

// DATA_LOSS with the line if that is not what squeue prints, or is cut off.
absl::StatusOr<std::vector<ListedJob>> ParseList(absl::string_view output);

// The nodes of a list as Slurm writes it, such as n1,m[01-03,7]: those that it can be told of, at
// most 64, in their order.
std::vector<std::string> NodesOf(absl::string_view list);

// What `scontrol show job --oneliner` says of one job.
struct JobDetails {
  std::string state;
  std::string nodes;
  int exit_code = 0;
  int signal = 0;
};

// DATA_LOSS as above.
absl::StatusOr<JobDetails> ParseDetails(absl::string_view output);

// The id that sbatch --parsable prints, without its cluster. DATA_LOSS as above.
absl::StatusOr<std::string> ParseSubmitted(absl::string_view output);

// The first line of what a command complained of, which says more than those that follow, without
// warnings and the command's name, in printable characters and of bounded length.
std::string Complaint(absl::string_view errors);

// A script that becomes the program of `arguments`, whatever characters they have.
std::string BatchScript(const std::vector<std::string>& arguments);

// A path as --output takes it, in which % means something else.
std::string OutputPattern(absl::string_view path);

// Splits what people write for several arguments at white space.
std::vector<std::string> SplitArguments(absl::string_view text);

// What is wrong with an argument for sbatch that people give, without a full stop; empty if nothing
// is. It is `--name` or `--name=value` with a name that is not one of those that the server needs
// for itself.
std::string ArgumentProblem(absl::string_view argument);

// `time` of `--time=5`.
absl::string_view ArgumentName(absl::string_view argument);

}  // namespace atelier::slurm

#endif  // ATELIER_SERVER_SLURM_SLURM_TEXT_H_
