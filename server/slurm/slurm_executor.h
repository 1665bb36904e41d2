// Has Slurm find places for workers: a batch job for each attempt, submitted by sbatch, watched by
// one squeue a second for all of them, ended by scancel.
#ifndef ATELIER_SERVER_SLURM_SLURM_EXECUTOR_H_
#define ATELIER_SERVER_SLURM_SLURM_EXECUTOR_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/base/tick_thread.h"
#include "server/jobs/executor.h"
#include "server/launch/command.h"
#include "server/launch/worker_command.h"
#include "server/slurm/slurm_commands.h"
#include "server/slurm/slurm_ledger.h"
#include "server/slurm/slurm_options.h"

namespace atelier::slurm {

// Thread-safe; no command is run under a lock. What Slurm's controller does not answer is not
// known: nothing ends for it, and it is asked less and less often until it answers.
//
// A job is found again by its comment, `atelier:<server>/<job>/<attempt>`. Nodes must see the
// worker's program and the attempt's folder under the same paths as this machine, and reach the
// address that workers dial. The token travels in the environment that sbatch passes on, the script
// on its standard input.
class SlurmExecutor final : public jobs::Executor {
 public:
  struct Options {
    SlurmOptions slurm;
    launch::WorkerCommand::Options worker;
    std::string server_id;  // Tells this server's jobs from those of others; without '/'.
    int max_launches = 64;
    absl::Duration poll_interval = absl::Seconds(1);
    absl::Duration max_poll_interval = absl::Seconds(30);  // While Slurm does not answer.
    // Told one sentence of what nobody else is there to hear of. May be empty.
    std::function<void(const std::string&)> log = {};
    bool own_thread = true;  // Calls Tick by itself.
  };

  // FAILED_PRECONDITION if a program is not there. `clock` must live as long.
  static absl::StatusOr<std::unique_ptr<SlurmExecutor>> Create(
      Options options, const Clock* clock, launch::CommandRunner runner = &launch::RunCommand);
  // Stops watching; the jobs go on, for the next server to adopt.
  ~SlurmExecutor() override = default;

  void SetStatusCallback(StatusCallback callback) override;
  std::optional<int> max_launches() const override { return options_.max_launches; }
  bool has_gpus() const override { return !options_.slurm.gres.empty(); }
  absl::Status CheckArguments(absl::Span<const std::string> arguments) const override {
    return options_.slurm.CheckArguments(arguments);
  }
  absl::StatusOr<jobs::Launched> Launch(const jobs::LaunchRequest& request) override;
  absl::StatusOr<std::string> Find(const std::string& job_id, int attempt,
                                   const std::string& token) override;
  absl::StatusOr<jobs::LaunchStatus> Adopt(const std::string& handle) override;
  void Recovered() override;
  void Kill(const std::string& handle) override;

  // Asks Slurm if that is due, and does what follows. Answers with how long until it has to be
  // called again. One thread only.
  absl::Duration Tick();

 private:
  SlurmExecutor(Options options, launch::WorkerCommand worker, SlurmCommands commands,
                const Clock* clock);

  std::string CommentOf(const std::string& job_id, int attempt) const;
  std::vector<std::string> SubmitArguments(const jobs::LaunchRequest& request) const;
  // The list of a moment ago, or a new one. While adopting, many ask for it in a row.
  absl::StatusOr<std::vector<ListedJob>> RecentList();
  // Nothing if Slurm does not answer.
  std::optional<jobs::ProcessEnd> AskEnd(const JobKey& key, const JobDetails& listed) const;
  // Has the next Tick ask at once, unless Slurm was just asked.
  void AskSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Kick();
  // `silence` is set if Slurm has just begun not to answer.
  SlurmLedger::Findings TakeAnswer(const absl::StatusOr<std::vector<ListedJob>>& list,
                                   absl::Duration asked, bool* silence);
  void Deliver(const SlurmLedger::Findings& findings);
  void Log(const std::string& sentence) const;

  // Constant after construction.
  const Options options_;
  const launch::WorkerCommand worker_;
  const SlurmCommands commands_;
  const Clock* const clock_;

  Mutex mutex_;
  StatusCallback callback_ ABSL_GUARDED_BY(mutex_);
  SlurmLedger ledger_ ABSL_GUARDED_BY(mutex_);
  bool recovered_ ABSL_GUARDED_BY(mutex_) = false;
  // Slurm may have jobs of this server that are not in the ledger.
  bool search_due_ ABSL_GUARDED_BY(mutex_) = true;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;  // Questions in a row that were not answered.
  absl::Duration last_poll_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  absl::Duration next_poll_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  std::optional<absl::StatusOr<std::vector<ListedJob>>> recent_ ABSL_GUARDED_BY(mutex_);
  absl::Duration recent_time_ ABSL_GUARDED_BY(mutex_);

  std::unique_ptr<TickThread> thread_;  // Last: it ends first.
};

}  // namespace atelier::slurm

#endif  // ATELIER_SERVER_SLURM_SLURM_EXECUTOR_H_
