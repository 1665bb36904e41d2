// What is known of a server's Slurm jobs, and what follows from each list of jobs that Slurm gives:
// what is to be told of them, which have ended, which are to be cancelled. Knows no command, clock
// or thread.
//
// A job is a watched one while somebody is to be told of its end. One that is to be cancelled stays
// here until Slurm lists it as ended or no longer at all, and is cancelled again from time to time
// until then. A job of this server that nobody knows is cancelled, too: its launch was cut off.
#ifndef ATELIER_SERVER_SLURM_SLURM_LEDGER_H_
#define ATELIER_SERVER_SLURM_SLURM_LEDGER_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/jobs/executor.h"
#include "server/slurm/slurm_text.h"

namespace atelier::slurm {

// A Slurm job by its number and by its comment, which says whose it is: numbers come around again.
struct JobKey {
  std::string id;
  std::string comment;

  // As a handle: `12:atelier:<server>/<job>/<attempt>`.
  static absl::StatusOr<JobKey> Parse(absl::string_view handle);
  std::string ToHandle() const;
};

// How a job stands by what squeue lists; the stage must be pending or running.
jobs::LaunchStatus StatusOf(const ListedJob& listed);

// How a job ended, by what scontrol says.
jobs::ProcessEnd EndOf(const std::string& id, const JobDetails& details);

// Not thread-safe. Times are by Clock::Elapsed.
class SlurmLedger {
 public:
  struct Options {
    // The comments of this server's jobs begin with it.
    std::string prefix;
    // Between two tries to cancel the same job.
    absl::Duration cancel_interval = absl::Seconds(5);
    // A job that Slurm says it cannot run is given up when it says so as often in a row: while a
    // controller starts it may not know its nodes.
    int refusals = 3;
    // A job has ended without a trace when so many lists in a row lack it.
    int absences = 2;
  };

  // What follows from a list.
  struct Findings {
    std::vector<std::pair<std::string, jobs::LaunchStatus>> news;  // By handle.
    // Watched jobs that have ended, to be told of and forgotten, and how by the list; no state if
    // it lacks them.
    std::vector<std::pair<JobKey, JobDetails>> ended;
    std::vector<std::string> cancel_pending;
    std::vector<std::string> cancel_running;
    std::vector<std::string> unknown;  // Comments of jobs that nobody knew.
  };

  explicit SlurmLedger(Options options) : options_(std::move(options)) {}

  // Between the two a job of this comment is not an unknown one.
  void BeginLaunch(const std::string& comment) { launching_.insert(comment); }
  void EndLaunch(const std::string& comment) { launching_.erase(comment); }

  // Watches a job, of which `told` was said.
  void Watch(const JobKey& key, const jobs::LaunchStatus& told, absl::Duration now);
  void Forget(const std::string& handle) { jobs_.erase(handle); }
  // The job is to be cancelled.
  void Doom(const std::string& handle);

  // Takes a list that was asked for at `asked`.
  Findings Take(const std::vector<ListedJob>& list, absl::Duration asked, absl::Duration now);
  // Slurm gave none: what pending jobs are told.
  Findings TakeSilence(absl::string_view why);

  bool empty() const { return jobs_.empty(); }

 private:
  struct Job {
    JobKey key;
    absl::Duration since;   // When it was put here.
    std::string told = {};  // What was said last.
    bool watched = true;
    bool doomed = false;
    bool ran = false;
    int absent = 0;
    int refused = 0;
    absl::Duration next_cancel = -absl::InfiniteDuration();
  };

  void AdoptUnknown(const std::vector<ListedJob>& list, absl::Duration now, Findings* findings);
  // False if the job is done with.
  bool TakeOne(const ListedJob* listed, absl::Duration asked, absl::Duration now, Job* job,
               Findings* findings) const;
  // The end of a job that waits and must not run, if that is so; no end tells nothing.
  void JudgePending(const ListedJob& listed, Job* job, Findings* findings) const;
  static void Tell(const jobs::LaunchStatus& status, Job* job, Findings* findings);

  const Options options_;
  std::map<std::string, Job> jobs_;  // By handle.
  std::set<std::string> launching_;  // Comments.
};

}  // namespace atelier::slurm

#endif  // ATELIER_SERVER_SLURM_SLURM_LEDGER_H_
