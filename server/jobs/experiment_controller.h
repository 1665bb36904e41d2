// The life of all experiments: accepts them, lets their runs become jobs as the queue has room,
// stops them, notices their end, and wakes its watchers. Works on the job controller, of
// which it is an ordinary client; a run that waits is a row of the store and nothing else.
//
// Everything it knows is read from the store when it is needed, so nothing is lost or done twice
// when the server is killed: a run that waits has no job, one that has a job got it in the
// transaction that stored the job.
#ifndef ATELIER_SERVER_JOBS_EXPERIMENT_CONTROLLER_H_
#define ATELIER_SERVER_JOBS_EXPERIMENT_CONTROLLER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/experiment_service.pb.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/event_log.h"
#include "server/jobs/experiment_request.h"
#include "server/jobs/experiment_store.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/spec_resolver.h"

namespace atelier::jobs {

// An experiment with all its runs, and which of its versions that is.
struct ExperimentView {
  v1::Experiment experiment;
  std::uint64_t version = 0;  // For Subscribe.
};

// Thread-safe. Calls wait for the disk. Locks: mutex_, then the job controller's; watch_mutex_ is a
// leaf.
//
// Errors carry a reason (error.h): EXPERIMENT_NOT_FOUND, EXPERIMENT_ENDED, EXPERIMENT_NOT_ENDED,
// REQUEST_ID_REUSED, TOO_MANY_EXPERIMENTS, and those of the store.
class ExperimentController {
 public:
  struct Options {
    // Jobs of one experiment that wait in the queue at a time: enough to start on whatever becomes
    // free, and few, so that other people's jobs are not behind a whole experiment.
    int queued_jobs = 2;
    std::size_t max_unended = 100;  // Experiments; more are refused.
    // Pause after something failed that will be tried again.
    absl::Duration retry_delay = absl::Seconds(1);
    // Told one sentence about each failure that no caller is there to hear of. May be empty.
    std::function<void(const std::string&)> log;
  };

  // All must outlive the controller; none may be null.
  struct Dependencies {
    Clock* clock;
    ExperimentStore* experiments;
    JobController* jobs;
    SpecResolver* resolver;
  };

  // Takes over the experiments that an earlier server left; Tick carries them on.
  static absl::StatusOr<std::unique_ptr<ExperimentController>> Create(Options options,
                                                                      Dependencies dependencies);
  ExperimentController(const ExperimentController&) = delete;
  ExperimentController& operator=(const ExperimentController&) = delete;

  // --- For ExperimentService. Ids are bare (see ParseExperimentName). ---

  // `creator` is who asks for it, and for its jobs.
  absl::StatusOr<v1::Experiment> Start(const v1::StartExperimentRequest& request,
                                       const std::string& creator = "");
  absl::StatusOr<v1::Experiment> Get(absl::string_view id);
  absl::StatusOr<v1::ListExperimentsResponse> List(const v1::ListExperimentsRequest& request);
  absl::StatusOr<v1::Experiment> Stop(absl::string_view id);
  absl::Status Delete(absl::string_view id);

  // --- For streams, as EventLog. ---

  absl::StatusOr<ExperimentView> Look(absl::string_view id);
  // Calls `wake` exactly once, as soon as the experiment is of another version; answers with an id
  // for Unsubscribe. Nothing if that is so already or the experiment has ended: look again.
  std::optional<std::uint64_t> Subscribe(absl::string_view id, std::uint64_t version,
                                         WakeFunction wake);
  // True: the wake-up was taken back and is never called. False: it was called, or is about to be.
  bool Unsubscribe(absl::string_view id, std::uint64_t subscription);

  // --- For a TickThread. ---

  // Does what is due: makes runs into jobs, stops those of stopping experiments, ends experiments,
  // wakes the watchers of those that changed. Answers with how long until it has to be called
  // again, unless kicked before. One thread only.
  absl::Duration Tick();

  // `kick` is called whenever Tick has something to do at once. Set it before other threads use the
  // controller.
  void SetKick(std::function<void()> kick);

 private:
  // An experiment that has not ended, as watchers know it.
  struct Watched {
    std::uint64_t version = 1;
    std::size_t fingerprint = 0;  // Of what this version shows.
    absl::flat_hash_map<std::uint64_t, WakeFunction> subscribers;
  };

  ExperimentController(Options options, Dependencies dependencies);

  // Reads the archive of each version that a configuration starts from.
  absl::Status CheckStartArchives(const ResolvedExperiment& resolved);
  // The request's earlier answer, if its request id was seen before.
  absl::StatusOr<std::optional<v1::Experiment>> FindRepeat(
      const std::string& creator, const v1::StartExperimentRequest& request,
      const std::string& canonical);
  absl::StatusOr<std::string> Insert(ExperimentRecord record, const std::vector<RunRecord>& runs,
                                     const std::string& base_name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TickOne(const std::string& id);
  // Makes waiting runs into jobs while there is room; changes their entries.
  absl::Status Feed(const ExperimentRecord& record, std::vector<RunRecord>* runs)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status FeedOne(const ExperimentRecord& record, RunRecord* run)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StopJobs(const std::vector<RunRecord>& runs);
  absl::Status EndIfDone(const std::vector<RunRecord>& runs, ExperimentRecord* record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::vector<std::string> Unended();
  void Watch(const std::string& id);
  // Tells watchers if what they would see has changed.
  void Show(const std::string& id, std::size_t fingerprint, bool ended);
  void Kick();

  const Options options_;
  const Dependencies with_;

  Mutex mutex_;  // Held while an experiment is changed: runs are not fed while it is being stopped.

  Mutex watch_mutex_ ABSL_ACQUIRED_AFTER(mutex_);
  // All that have not ended, in no order.
  absl::flat_hash_map<std::string, Watched> watched_ ABSL_GUARDED_BY(watch_mutex_);
  std::uint64_t next_subscription_ ABSL_GUARDED_BY(watch_mutex_) = 1;
  std::function<void()> kick_ ABSL_GUARDED_BY(watch_mutex_);
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXPERIMENT_CONTROLLER_H_
