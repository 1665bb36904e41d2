// Has an engine find places for workers: a launch for each attempt, watched by one list for all of
// them, ended when nobody wants it any more.
#ifndef ATELIER_SERVER_REMOTE_REMOTE_EXECUTOR_H_
#define ATELIER_SERVER_REMOTE_REMOTE_EXECUTOR_H_

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
#include "server/remote/engine.h"
#include "server/remote/launch_ledger.h"

namespace atelier::remote {

// Thread-safe; the engine is never asked under a lock. What it does not answer is not known:
// nothing ends for it, and it is asked less and less often until it answers.
//
// A launch is found again by its name, `atelier:<server>/<job>/<attempt>`.
class RemoteExecutor final : public jobs::Executor {
 public:
  struct Options {
    std::string server_id;  // Tells this server's launches from those of others; without '/'.
    int max_launches = 64;
    absl::Duration poll_interval = absl::Seconds(1);       // Between two lists.
    absl::Duration least_interval = absl::Seconds(1);      // However much happens.
    absl::Duration max_poll_interval = absl::Seconds(30);  // While the engine does not answer.
    EngineObserver* observer = nullptr;                    // Must live as long; may be null.
    // Told one sentence of what nobody else is there to hear of. May be empty.
    std::function<void(const std::string&)> log = {};
    bool own_thread = true;  // Calls Tick by itself.
  };

  // `clock` must live as long.
  RemoteExecutor(Options options, std::unique_ptr<Engine> engine, const Clock* clock);
  // Stops watching; the launches go on, for the next server to adopt.
  ~RemoteExecutor() override = default;

  void SetStatusCallback(StatusCallback callback) override;
  std::optional<int> max_launches() const override { return options_.max_launches; }
  bool has_gpus() const override { return engine_->has_gpus(); }
  absl::Status CheckArguments(absl::Span<const std::string> arguments) const override {
    return engine_->CheckArguments(arguments);
  }
  absl::StatusOr<jobs::Launched> Launch(const jobs::LaunchRequest& request) override;
  absl::StatusOr<std::string> Find(const std::string& job_id, int attempt,
                                   const std::string& token) override;
  absl::StatusOr<jobs::LaunchStatus> Adopt(const std::string& handle) override;
  void Recovered() override;
  void Kill(const std::string& handle) override;

  // Asks the engine if that is due, and does what follows. Answers with how long until it has to be
  // called again. One thread only.
  absl::Duration Tick();

 private:
  std::string NameOf(const std::string& job_id, int attempt) const;
  // The list of a moment ago, or a new one. While adopting, many ask for it in a row.
  absl::StatusOr<std::vector<ListedLaunch>> RecentList();
  // Has the next Tick ask at once, unless the engine was just asked or does not answer.
  void AskSoon() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Kick();
  // `silence` is set if the engine has just begun not to answer.
  LaunchLedger::Findings TakeAnswer(const absl::StatusOr<std::vector<ListedLaunch>>& list,
                                    absl::Duration asked, bool* silence);
  void Deliver(const LaunchLedger::Findings& findings);
  void Show() const;
  void DeliverEnd(const LaunchKey& key, const std::optional<jobs::ProcessEnd>& listed,
                  const StatusCallback& callback);
  void Log(const std::string& sentence) const;

  // Constant after construction.
  const Options options_;
  const Clock* const clock_;

  mutable Mutex mutex_;
  StatusCallback callback_ ABSL_GUARDED_BY(mutex_);
  LaunchLedger ledger_ ABSL_GUARDED_BY(mutex_);
  bool recovered_ ABSL_GUARDED_BY(mutex_) = false;
  // The engine may have launches of this server that are not in the ledger.
  bool search_due_ ABSL_GUARDED_BY(mutex_) = true;
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;  // Questions in a row that were not answered.
  std::optional<absl::Time> silent_since_ ABSL_GUARDED_BY(mutex_);
  absl::Duration last_poll_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  absl::Duration next_poll_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  std::optional<absl::StatusOr<std::vector<ListedLaunch>>> recent_ ABSL_GUARDED_BY(mutex_);
  absl::Duration recent_time_ ABSL_GUARDED_BY(mutex_);

  const std::unique_ptr<Engine> engine_;  // Rings, hence it ends before what is above.
  std::unique_ptr<TickThread> thread_;    // Last: it ends first.
};

}  // namespace atelier::remote

#endif  // ATELIER_SERVER_REMOTE_REMOTE_EXECUTOR_H_
