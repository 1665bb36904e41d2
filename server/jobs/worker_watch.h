// The life of worker processes, as far as it is a matter of time: one is launched, may have to wait
// until an engine runs it, must then attach, gives signs of life, obeys or not, ends its attempt,
// and must then be gone. Says what is overdue and when to look again; the controller acts on it.
// Between launches that fail it wants pauses.
//
// Knows no clock, process or store: every call is told the time.
#ifndef ATELIER_SERVER_JOBS_WORKER_WATCH_H_
#define ATELIER_SERVER_JOBS_WORKER_WATCH_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/jobs/executor.h"

namespace atelier::jobs {

// Not thread-safe; the controller's lock guards it. Times are by Clock::Elapsed. A call for an
// attempt that is not watched does nothing.
class WorkerWatch {
 public:
  struct Options {
    // Without a word for this long, a worker is lost.
    absl::Duration lease = absl::Seconds(30);
    // A new process must attach within this time once it runs.
    absl::Duration attach_timeout = absl::Seconds(60);
    // A worker told to stop must begin to evaluate or end within this time, or it is killed.
    absl::Duration stop_timeout = absl::Seconds(60);
    // A process whose attempt has ended must be gone within this time, or it is killed.
    absl::Duration exit_timeout = absl::Seconds(15);
    // Pause after a failed launch, a worker that ended before it trained, or a commit in the
    // background that failed. Doubles from one such launch to the next, up to the longest.
    absl::Duration retry_delay = absl::Seconds(1);
    absl::Duration max_retry_delay = absl::Minutes(1);
    // While there are processes, Due is to be called this often. A call that comes later than that
    // again, or a gap that Forgive is told of, means that the server was held up (it was stopped,
    // its disk stalled), and with it everything that workers sent: all deadlines move by as much.
    absl::Duration watch_interval = absl::Seconds(1);
  };

  // What is overdue.
  struct Overdue {
    std::vector<std::string> silent;       // Jobs whose worker's lease is over.
    std::vector<std::string> disobedient;  // Jobs whose worker was told to stop and did not.
    std::vector<std::string> lingering;    // Processes that should be gone; no longer watched.
  };

  // What the end of a process means.
  struct Exit {
    bool was_leaving = false;  // It was one whose attempt had ended.
    std::string job;           // Whose attempt it ran; empty if none.
  };

  explicit WorkerWatch(const Options& options) : options_(options) {}

  // --- Launching: one process at a time. ---

  void BeginLaunch(const std::string& job) { launching_ = job; }
  // How the process that was launched stands by what was told meanwhile; nothing if nothing was.
  // `handle` is empty if none was launched.
  std::optional<LaunchStatus> EndLaunch(const std::string& handle);
  bool launching() const { return !launching_.empty(); }
  bool launching(absl::string_view job) const { return launching_ == job; }

  // A start failed: none for a while, longer each time in a row.
  void StartFailed(absl::Duration now);
  void StartWorked() { failed_starts_ = 0; }
  int failed_starts() const { return failed_starts_; }  // In a row.
  // When the next start may be; in the past if at once.
  absl::Duration next_start() const { return next_start_; }

  // --- Attempts, by the job's id. ---

  std::size_t attempts() const { return attempts_.size(); }
  // A process was started for a new attempt.
  void Begin(const std::string& job, const std::string& handle, absl::Duration now);
  // An earlier server began the attempt; `stopping` if its worker was told to stop.
  void Adopt(const std::string& job, const std::string& handle, bool stopping, absl::Duration now);
  // The engine does not run the process, not yet or not now: its worker is not expected. False, and
  // nothing changes, if that is old: the worker has spoken, and the engine is yet to say that it
  // runs. What an engine says may be seconds older than its worker, which may be gone by then.
  bool Pend(absl::string_view job);
  bool pending(absl::string_view job) const;
  std::size_t pending() const;  // Attempts whose process is not run.
  // The engine says that the process runs. If it was pending its worker must attach from now on.
  void Run(absl::string_view job, absl::Duration now);
  // A sign of life.
  void Hear(absl::string_view job, absl::Duration now);
  // The worker is told to stop.
  void TellToStop(absl::string_view job, absl::Duration now);
  // A worker that was told to stop does.
  void Obey(absl::string_view job);
  // The attempt is to be looked at again after the pause: its end could not be stored.
  void LookAgain(absl::string_view job, absl::Duration now);
  // While its outcome is stored an attempt is never overdue, and what becomes of its process does
  // not matter.
  void BeginStoring(absl::string_view job);
  void EndStoring(absl::string_view job, absl::Duration now);
  bool storing(absl::string_view job) const;
  // How the attempt's process ended; nothing while it is not known to have.
  void SetExited(absl::string_view job, const ProcessEnd& end);
  std::optional<ProcessEnd> exited(absl::string_view job) const;
  // The attempt has ended. Its process, if it has not, is to be told to Leave.
  void End(absl::string_view job);

  // --- Processes, by handle. ---

  // The process runs for nothing any more and has to go.
  void Leave(const std::string& handle, absl::Duration now);
  std::size_t leaving() const { return leaving_.size(); }
  Exit TakeExit(const std::string& handle, const ProcessEnd& end);
  // The job whose attempt the process runs; empty if none. What is told of a process whose launch
  // has not returned yet, EndLaunch answers with.
  std::string JobOf(const std::string& handle, const LaunchStatus& told);

  // --- Time. ---

  // What is overdue now. Forgives the time by which this call is late.
  Overdue TakeOverdue(absl::Duration now);
  // Moves all deadlines by `gap`, if that is more than the watch allows.
  void Forgive(absl::Duration gap);
  // When something will be overdue, or has to be looked at; infinite if there is nothing.
  absl::Duration NextDue(absl::Duration now) const;
  // TakeOverdue will be called again then.
  void ExpectCall(absl::Duration at) { expected_call_ = at; }

 private:
  struct Attempt {
    std::string handle;
    absl::Duration lease_end = absl::InfiniteDuration();
    absl::Duration stop_deadline = absl::InfiniteDuration();
    bool pending = false;
    bool heard = false;  // Its worker has spoken,
    bool ran = false;    // and its engine said that it runs.
    bool storing = false;
    std::optional<ProcessEnd> exited = std::nullopt;
  };

  Attempt* Find(absl::string_view job);
  const Attempt* Find(absl::string_view job) const;

  const Options options_;
  absl::flat_hash_map<std::string, Attempt> attempts_;  // By job.
  // Processes whose attempt has ended, and when they are overdue.
  absl::flat_hash_map<std::string, absl::Duration> leaving_;
  std::string launching_;
  // What was told last of processes whose launch has not returned yet.
  absl::flat_hash_map<std::string, LaunchStatus> early_;
  absl::Duration next_start_ = -absl::InfiniteDuration();
  int failed_starts_ = 0;
  absl::Duration expected_call_ = absl::InfiniteDuration();
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_WORKER_WATCH_H_
