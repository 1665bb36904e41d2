// The life of all jobs: accepts requests, starts worker processes when cores are free, takes what
// workers report, notices lost ones, and carries everything over restarts of the server. Knows
// nothing of gRPC, SQL or processes; the services and the worker sessions are thin layers over it.
//
// Whatever it answers or shows is stored: a change is made on a copy of the job's record,
// committed, and only then taken over. When the store fails the call fails and nothing has changed.
#ifndef ATELIER_SERVER_JOBS_JOB_CONTROLLER_H_
#define ATELIER_SERVER_JOBS_JOB_CONTROLLER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "atelier/v1/training_service.pb.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/dataset_store.h"
#include "server/jobs/event_log.h"
#include "server/jobs/executor.h"
#include "server/jobs/job_change.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/job_quota.h"
#include "server/jobs/job_store.h"
#include "server/jobs/model_store.h"
#include "server/jobs/queue_view.h"
#include "server/jobs/scheduler.h"
#include "server/jobs/spec_resolver.h"
#include "server/jobs/worker_link.h"
#include "server/jobs/worker_watch.h"

namespace atelier::jobs {

// Thread-safe. Calls wait for the disk (a commit takes milliseconds), so none belongs on a gRPC
// thread. Locks: mutex_, then one of the stores, the event log, the queue view or the observers;
// executor, links and wake-ups are called with no lock held.
//
// Errors carry a reason (error.h): JOB_NOT_FOUND, JOB_ENDED, JOB_NOT_ENDED, QUEUE_FULL,
// REQUEST_ID_REUSED, JOB_DELETED, NOT_EVALUATED, NO_CHECKPOINT, DATASET_CHANGED, ARCHIVE_DAMAGED,
// SHUTTING_DOWN, ATTEMPT_NOT_WANTED, WRONG_TOKEN, PROTOCOL_VIOLATION, DATASET_IN_USE, the stores'.
class JobController {
 public:
  struct Options : WorkerWatch::Options {
    int total_cores = 1;                  // For all workers together; 0: not counted.
    std::int64_t total_memory_bytes = 0;  // The same.
    int max_attempts = 0;                 // At once; 0: as many as there are cores for.
    std::size_t queue_capacity = 1000;    // New jobs beyond it are refused.
    int max_lost_attempts = 3;            // A job is tried again after this many; the next ends it.
    // Bytes that all versions of pushed data sets may have together.
    std::int64_t dataset_space = INT64_MAX;
    LimitsOf limits_of;  // Of each creator; empty: there are none.
    // Told one sentence about each failure that no caller is there to hear of. May be empty.
    std::function<void(const std::string&)> log;
  };

  // All must outlive the controller; none may be null.
  struct Dependencies {
    Clock* clock;
    JobStore* jobs;
    ModelStore* models;
    ArtifactStore* artifacts;
    DatasetSource* datasets;
    DatasetStore* pushed_datasets;
    Executor* executor;
    SpecResolver* resolver;
    EventLog* events;
    std::vector<JobObserver*> observers = {};  // Told in this order.
  };

  // Takes over what an earlier server left: queued jobs are queued again; running ones keep their
  // worker, which has a fresh lease to attach again; those whose process is gone are lost attempts.
  // Sets the executor's status callback.
  static absl::StatusOr<std::unique_ptr<JobController>> Create(Options options,
                                                               Dependencies dependencies);
  ~JobController();
  JobController(const JobController&) = delete;
  JobController& operator=(const JobController&) = delete;

  // --- For TrainingService. Ids are bare (see ParseJobName). ---

  // Checks the request and stores a job in QUEUED. A request id that the creator used before
  // answers with the job it made, whatever has become of it and of what the request names;
  // ALREADY_EXISTS (JOB_DELETED) if that job was deleted within the last day. `creator` asks for
  // it, here and below.
  absl::StatusOr<v1::TrainingJob> Start(const v1::StartTrainingRequest& request,
                                        const std::string& creator = "");
  // DATA_LOSS (ARCHIVE_DAMAGED) if a version's archive, all of which is read, is not what was
  // stored. OK for no name.
  absl::Status CheckArchive(const std::string& version_name);
  absl::StatusOr<v1::TrainingJob> Get(absl::string_view id);
  absl::StatusOr<v1::ListJobsResponse> List(const v1::ListJobsRequest& request);
  absl::StatusOr<v1::TrainingJob> Stop(absl::string_view id);
  absl::Status Delete(absl::string_view id);
  absl::StatusOr<v1::ConfusionMatrix> GetConfusionMatrix(absl::string_view id);
  // `request.name` is not looked at.
  absl::StatusOr<v1::GetPredictionsResponse> GetPredictions(
      absl::string_view id, const v1::GetPredictionsRequest& request);

  // --- For DatasetService and ModelService. ---

  // The job that the request's id made before; nothing if it is new. Its upload may be gone since.
  // Errors as Start.
  absl::StatusOr<std::optional<v1::TrainingJob>> FindImport(const v1::ImportDatasetRequest& request,
                                                            const std::string& creator = "");
  // Stores a job in QUEUED that imports a complete upload. Answers with the job that has not ended
  // and imports the same upload with the same options, if there is one; a request id as in Start.
  absl::StatusOr<v1::TrainingJob> StartImport(const v1::ImportDatasetRequest& request,
                                              const v1::Upload& upload,
                                              const std::string& creator = "");
  // Stores a job in QUEUED that checks a data set, or evaluates a model. Errors as Start.
  absl::StatusOr<v1::TrainingJob> StartCheck(const v1::CheckDatasetRequest& request,
                                             const std::string& creator = "");
  absl::StatusOr<v1::TrainingJob> StartEvaluation(const v1::EvaluateModelRequest& request,
                                                  const std::string& creator = "");
  // RESOURCE_EXHAUSTED (CALLER_LIMIT) if a creator whose uploads have `uploads` bytes may not have
  // so many more.
  absl::Status CheckData(const std::string& creator, std::int64_t uploads, std::int64_t more) {
    return quota_.CheckData(creator, uploads, more);
  }
  // Deletes a version of a pushed data set, or all of them, with its files. Errors of
  // DatasetStore::DeleteDataset.
  absl::Status DeleteDataset(const DatasetReference& reference, bool force);

  // --- For the worker sessions. A job is `Hello.job`, an attempt `Hello.attempt`. ---

  // UNAUTHENTICATED (WRONG_TOKEN); ABORTED (ATTEMPT_NOT_WANTED) if the job or attempt has ended or
  // never was. A worker that is attached already loses its old link, which is closed.
  absl::StatusOr<Attachment> Attach(const worker::v1::Hello& hello,
                                    std::shared_ptr<WorkerLink> link);

  // The assignment of a process of an attempt that has no session, as Attach would give it. Errors
  // as Attach; nothing changes.
  absl::StatusOr<worker::v1::Assignment> Join(const worker::v1::Hello& hello);

  // The same without its probe.
  absl::StatusOr<worker::v1::Assignment> Assigned(const worker::v1::Hello& hello);

  // Stores events and answers with the number of the attempt's last stored one, to be acknowledged.
  // Events stored before are left out. ABORTED (ATTEMPT_NOT_WANTED) when the attempt is over;
  // INVALID_ARGUMENT (PROTOCOL_VIOLATION) for events that cannot be (a gap, an unknown kind), which
  // fails the job. After any other error nothing of what was not acknowledged counts: end the call,
  // the worker sends it again.
  absl::StatusOr<std::int64_t> Report(absl::string_view job, int attempt,
                                      absl::Span<const worker::v1::WorkerEvent> events);

  // The worker lives. ABORTED (ATTEMPT_NOT_WANTED).
  absl::Status Heartbeat(absl::string_view job, int attempt);

  // The connection is gone; the worker has until the end of its lease to attach again. Does nothing
  // if `link` is no longer the attempt's link.
  void Detached(absl::string_view job, int attempt, const WorkerLink* link);

  // --- For JobDriver. ---

  // Does what is due: starts jobs, ends leases, kills what does not end. Answers with how long
  // until it has to be called again, unless kicked before. One thread only.
  absl::Duration Tick();

  // `kick` is called, with no lock held, whenever Tick may have something to do at once. Set it
  // before other threads use the controller; an empty function unsets it.
  void SetKick(std::function<void()> kick);

  // --- For main: graceful shutdown. ---

  // Nothing new is accepted or started (Start answers UNAVAILABLE, SHUTTING_DOWN), every worker is
  // asked to write a checkpoint and end. Workers can still attach and report.
  void BeginShutdown();
  bool AllSuspended();
  // Waits until no attempt is active; false if `timeout` is over before.
  bool AwaitSuspended(absl::Duration timeout);
  // Waits until the processes whose attempts have ended are gone too; false as above.
  bool AwaitProcessesGone(absl::Duration timeout);
  // Kills what is still running, once the grace is over; such jobs go on from their last checkpoint
  // at the next start, which does not count as a lost attempt.
  void KillRemaining();

  JobLoad Load();

 private:
  // A job that has not ended.
  struct LiveJob {
    JobRecord record;
    std::shared_ptr<WorkerLink> link;  // Null while not attached.
    std::string waiting_reason;        // As TrainingJob.waiting_reason.
    bool trimmed = false;              // What earlier attempts left is freed, or about to be.
  };

  // What is left to do once the lock is gone. Declared before the lock, so that its destructor runs
  // after the unlocking.
  class Effects {
   public:
    Effects() = default;
    Effects(const Effects&) = delete;
    Effects& operator=(const Effects&) = delete;
    ~Effects();
    void Add(std::function<void()> call) { calls_.push_back(std::move(call)); }
    void Add(WakeList calls);
    // Keeps an ended job's entry for threads that still use it.
    void Keep(std::unique_ptr<LiveJob> ended) { ended_.push_back(std::move(ended)); }

   private:
    std::vector<std::function<void()>> calls_;
    std::vector<std::unique_ptr<LiveJob>> ended_;
  };

  // In the executor's callback, which may outlive the controller.
  struct StatusRelay {
    Mutex mutex;
    JobController* controller ABSL_GUARDED_BY(mutex);
  };

  // What is left to do of a report, with the lock released.
  struct Unfinished {
    // Where the attempt starts, to be looked up in the job's history; nothing was stored then.
    std::optional<worker::v1::Resumed> start;
    // An outcome whose archive is to be published; null if there is none.
    const worker::v1::WorkerEvent* outcome = nullptr;
    Publication publication;
  };

  JobController(Options options, Dependencies dependencies);

  // job_controller_lifetime.cc: start and end of the server.
  absl::Status Recover();
  void RecoverAttempt(const std::string& id);
  // Ends the workers that the last server left of a job that has no attempt: one whose attempt it
  // had not stored yet, and one whose attempt had ended.
  void EndStrayWorkers(const JobRecord& record);
  bool NoneActive() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // job_controller_start.cc: what a request to train builds on.
  // Checks a request, completed by the job or version that it names.
  absl::StatusOr<ResolvedRequest> Resolve(const v1::StartTrainingRequest& request);
  absl::StatusOr<ResolvedRequest> ResolveContinued(const v1::StartTrainingRequest& request);
  // Of `jobs/{job}` or a model version.
  absl::StatusOr<v1::TrainingSpec> SpecificationOf(const std::string& name);
  absl::Status CheckContinuable(const JobRecord& record);
  // Stores a job and its first event, and hands it the checkpoint that it continues.
  absl::StatusOr<std::int64_t> Insert(const JobChange& change);

  // job_controller.cc: requests.
  absl::StatusOr<v1::TrainingJob> Accept(const v1::StartTrainingRequest& request,
                                         ResolvedRequest resolved, const std::string& creator,
                                         Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes a job in that is no training, unless its request did so before or another imports the
  // same.
  absl::StatusOr<v1::TrainingJob> AcceptOther(v1::TrainingJob job, const std::string& request_id,
                                              const std::string& canonical);
  // Whether another job can be taken in.
  absl::Status CheckRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JobQuota::Use UseOf(const std::string& creator) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The job that the creator's request of this id made before, which was `canonical`; nothing if it
  // is new.
  absl::StatusOr<std::optional<v1::TrainingJob>> FindRepeat(const std::string& creator,
                                                            const std::string& request_id,
                                                            const std::string& canonical);
  // Stores a job under a new id and queues it.
  absl::StatusOr<v1::TrainingJob> Admit(JobRecord record, const std::string& base_name,
                                        Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Stops a job that has nothing to keep and whose worker does not run yet.
  absl::StatusOr<v1::TrainingJob> StopPending(LiveJob* live, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The job as clients see it, with its place in the queue.
  v1::TrainingJob Shown(JobRecord record) const;

  // job_controller_datasets.cc: imports, and what becomes of data sets.
  // The job that has not ended and imports the same upload with the same options; null if none
  // does.
  const LiveJob* FindSameImport(const v1::ImportSpec& spec) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Removes files of versions that no server has registered and no job will.
  void RemoveStrayDatasets();
  worker::v1::Assignment MakeImportAssignment(const LiveJob& live)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Fails where the version would not fit into the space for data sets, or its creator's.
  absl::Status CheckDatasetSpace(std::int64_t size_bytes, const std::string& creator)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // job_controller_scoring.cc: evaluations and checks.
  absl::StatusOr<worker::v1::Assignment> MakeScoringAssignment(const LiveJob& live)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // job_controller_state.cc: what every step goes through.

  // Takes a change over: commits it, replaces the record, tells readers, and sees to the cores, the
  // queue and the cleaning up that the new state asks for. On failure nothing has changed. The
  // entry stays readable until `effects` is destroyed.
  absl::Status Apply(JobChange change, LiveJob* live, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AfterAttempt(LiveJob* live, Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AwaitExit(const std::string& handle, Scheduler::Resources resources)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What the job's newest attempt holds.
  static Scheduler::Resources HeldBy(const JobRecord& record);
  void AfterEnd(const std::string& id, Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  LiveJob* Find(absl::string_view id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The job if `attempt` is its active one, else ABORTED.
  absl::StatusOr<LiveJob*> FindAttempt(absl::string_view id, int attempt)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The same for who has the attempt's token, else UNAUTHENTICATED; UNAVAILABLE while the attempt
  // is being stored.
  absl::StatusOr<LiveJob*> FindWorker(const worker::v1::Hello& hello)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  JobChange Change(const LiveJob& live) const { return {live.record, with_.clock->Now()}; }
  void Enqueue(const JobRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells readers what the queue's head waits for.
  void ShowHead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The attempt's worker is gone, or has to be: the attempt is lost or suspended, or the job fails,
  // as the end's cause and a stopping server ask for. Its process is killed.
  void Lose(LiveJob* live, const ProcessEnd& end, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status EndLost(const ProcessEnd& end, JobChange* change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why a job whose data set was deleted fails. NOT_FOUND.
  static absl::Status DatasetGone(const JobRecord& record);
  // Fails the job and dismisses its worker.
  absl::Status Fail(LiveJob* live, absl::string_view reason, absl::string_view message,
                    Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What closes the worker's connection and kills its process.
  WakeList Dismissal(const LiveJob& live) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells readers and observers what was stored.
  void Show(const JobRecord& record, std::optional<std::int64_t> withdraw_from,
            const std::vector<v1::JobEvent>& events, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Log(const std::string& sentence) const;

  // job_controller_workers.cc: sessions and reports.
  // Stores a report under the lock, or says in `left` what has to be done without it.
  // `first_beyond` is what FindFirstBeyond said of where the attempt starts; null before it was
  // asked.
  absl::StatusOr<std::int64_t> TakeIn(absl::string_view job, int attempt,
                                      absl::Span<const worker::v1::WorkerEvent> events,
                                      const std::optional<std::int64_t>* first_beyond,
                                      Unfinished* left) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<worker::v1::Assignment> ProbedAssignment(const LiveJob& live)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<worker::v1::Assignment> MakeAssignment(const LiveJob& live)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<worker::v1::Assignment> MakeTrainingAssignment(const LiveJob& live)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Stores events up to the last, or up to an outcome, which it describes in `left`.
  // `first_beyond` as in ApplyWorkerEvent.
  absl::Status StoreEvents(LiveJob* live, absl::Span<const worker::v1::WorkerEvent> events,
                           std::optional<std::int64_t> first_beyond, Unfinished* left,
                           Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ApplyEvent(const worker::v1::WorkerEvent& event,
                          std::optional<std::int64_t> first_beyond, JobChange* change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status PrepareOutcome(const worker::v1::WorkerEvent& event, JobChange* change,
                              Unfinished* left) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::int64_t> StoreOutcome(absl::string_view job, int attempt,
                                            const Unfinished& left);
  // Ends the job with what was published.
  absl::Status FinishOutcome(const Unfinished& left, LiveJob* live, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // job_controller_tick.cc: what is due.
  // Ends the attempts and processes that are overdue.
  void EndOverdue(absl::Duration now, Effects* effects) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool StartNext();
  std::optional<LaunchRequest> PrepareLaunch(Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The next job that fits and whose creator's limits let it start.
  std::optional<Scheduler::Grant> NextGrant() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Puts a job back that could not be started, and pauses.
  void Postpone(LiveJob* live, const absl::Status& why, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the files that the job reads are there; if not, it is held back until they are.
  bool FilesAreThere(LiveJob* live) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void QueueHeld(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Launched> Launch(const LaunchRequest& request);
  void FinishLaunch(const LaunchRequest& request, absl::StatusOr<Launched> launched);
  // Stores the attempt whose process has been started.
  absl::Status Begin(LiveJob* live, const Launched& launched, int cores, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Shows why an attempt's engine does not run it; empty if it does.
  void ShowWait(const LiveJob& live, const std::string& why, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes over how an attempt's launch stands that has not ended.
  void Follow(LiveJob* live, const LaunchStatus& status, Effects* effects)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CleanUp();
  absl::Status RemoveUnregistered(const JobRecord& record);
  absl::Duration NextDue(absl::Duration now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnLaunchStatus(const std::string& handle, const LaunchStatus& status);
  // Why the queue's head waits for memory.
  std::string MemoryReason() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const Dependencies with_;
  JobObservers observers_;
  std::shared_ptr<StatusRelay> relay_;
  QueueView queue_view_;
  const JobQuota quota_;

  Mutex mutex_;
  CondVar attempts_changed_;  // Or a process is gone.
  absl::flat_hash_map<std::string, std::unique_ptr<LiveJob>> live_ ABSL_GUARDED_BY(mutex_);
  Scheduler scheduler_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> kick_ ABSL_GUARDED_BY(mutex_);
  bool shutting_down_ ABSL_GUARDED_BY(mutex_) = false;
  bool held_back_ ABSL_GUARDED_BY(mutex_) = false;  // Limits alone keep a job in the queue.
  // A process whose attempt has ended holds its cores, under its handle, until it is gone: the next
  // job must not be placed beside it. The job whose process is being started is off the queue,
  // holding its cores, without an attempt.
  WorkerWatch watch_ ABSL_GUARDED_BY(mutex_);
  // Jobs whose turn it was while their files were brought back; queued again at `held_until_`.
  std::vector<std::string> held_ ABSL_GUARDED_BY(mutex_);
  absl::Duration held_until_ ABSL_GUARDED_BY(mutex_);
  // Jobs and attempts that have a checkpoint, so that earlier attempts' files can go.
  std::vector<std::pair<std::string, int>> to_trim_ ABSL_GUARDED_BY(mutex_);
  // Ended jobs whose files are still to be freed.
  std::vector<JobRecord> to_clean_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_CONTROLLER_H_
