// What the controller works with, as tests want it: a clock that is set, processes that are names,
// links that remember, files that are entries in a list.
#ifndef ATELIER_TESTS_UNIT_JOBS_FAKES_H_
#define ATELIER_TESTS_UNIT_JOBS_FAKES_H_

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/error.h"
#include "server/jobs/executor.h"
#include "server/jobs/job_store.h"
#include "server/jobs/worker_link.h"

namespace atelier::jobs {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  absl::Time Now() const override {
    MutexLock lock(&mutex_);
    return absl::FromUnixSeconds(1'700'000'000) + elapsed_ + set_;
  }
  absl::Duration Elapsed() const override {
    MutexLock lock(&mutex_);
    return elapsed_;
  }
  void Advance(absl::Duration duration) {
    MutexLock lock(&mutex_);
    elapsed_ += duration;
  }
  // Somebody sets the wall clock.
  void Set(absl::Duration forward) {
    MutexLock lock(&mutex_);
    set_ += forward;
  }

 private:
  mutable Mutex mutex_;
  absl::Duration set_ ABSL_GUARDED_BY(mutex_);
  absl::Duration elapsed_ ABSL_GUARDED_BY(mutex_) = absl::Seconds(1);
};

// Processes are handles "process-N"; they end when the test says so. Thread-safe.
class FakeExecutor final : public Executor {
 public:
  void SetStatusCallback(StatusCallback callback) override {
    MutexLock lock(&mutex_);
    callback_ = std::move(callback);
  }

  absl::StatusOr<Launched> Launch(const LaunchRequest& request) override {
    std::function<void()> during;
    std::string handle;
    LaunchStatus status;
    {
      MutexLock lock(&mutex_);
      if (!launch_error_.ok()) return std::exchange(launch_error_, absl::OkStatus());
      handle = absl::StrCat("process-", launches_.size() + 1);
      alive_.insert(handle);
      launches_.push_back(request);
      launched_changed_.NotifyAll();
      during = std::exchange(during_launch_, nullptr);
      status = launched_as_;
    }
    if (during) during();
    return Launched{.handle = handle, .status = status};
  }

  absl::StatusOr<std::string> Find(const std::string& job_id, int attempt,
                                   const std::string& token) override {
    MutexLock lock(&mutex_);
    for (std::size_t i = 0; i < launches_.size(); ++i) {
      const LaunchRequest& launch = launches_[i];
      std::string handle = absl::StrCat("process-", i + 1);
      if (launch.job_id == job_id && launch.attempt == attempt && launch.token == token &&
          alive_.contains(handle)) {
        return handle;
      }
    }
    return absl::NotFoundError("no such process");
  }

  absl::StatusOr<LaunchStatus> Adopt(const std::string& handle) override {
    MutexLock lock(&mutex_);
    if (const auto end = known_ends_.find(handle); end != known_ends_.end()) return end->second;
    if (alive_.contains(handle)) return launched_as_;
    return absl::NotFoundError("no such process");
  }

  void Recovered() override {
    MutexLock lock(&mutex_);
    ++recoveries_;
  }

  void Kill(const std::string& handle) override {
    MutexLock lock(&mutex_);
    killed_.insert(handle);
  }

  // The process ends by itself, or because it was killed.
  void Exit(const std::string& handle, const std::string& how,
            ProcessEnd::Cause cause = ProcessEnd::Cause::kUnknown) {
    {
      MutexLock lock(&mutex_);
      alive_.erase(handle);
    }
    Tell(handle, ProcessEnd{.how = how, .cause = cause});
  }

  // The engine tells how a launch stands.
  void Tell(const std::string& handle, const LaunchStatus& status) {
    StatusCallback callback;
    {
      MutexLock lock(&mutex_);
      callback = callback_;
    }
    callback(handle, status);
  }

  // How launches and adopted processes stand from now on.
  void LaunchAs(const LaunchStatus& status) {
    MutexLock lock(&mutex_);
    launched_as_ = status;
  }

  // The process ends while nobody watches: the server is down.
  void ExitUnseen(const std::string& handle) {
    MutexLock lock(&mutex_);
    alive_.erase(handle);
  }
  // The same, but the engine knows how.
  void EndUnseen(const std::string& handle, const ProcessEnd& end) {
    MutexLock lock(&mutex_);
    alive_.erase(handle);
    known_ends_[handle] = end;
  }
  int recoveries() const {
    MutexLock lock(&mutex_);
    return recoveries_;
  }

  // As if Kill had never been called for it.
  void Forget(const std::string& handle) {
    MutexLock lock(&mutex_);
    killed_.erase(handle);
  }

  void FailNextLaunch(absl::Status error) {
    MutexLock lock(&mutex_);
    launch_error_ = std::move(error);
  }

  // Called by the next Launch, before it returns.
  void DuringNextLaunch(std::function<void()> call) {
    MutexLock lock(&mutex_);
    during_launch_ = std::move(call);
  }

  std::vector<LaunchRequest> launches() const {
    MutexLock lock(&mutex_);
    return launches_;
  }
  // Waits until a job's first process was launched and answers with its handle.
  std::string AwaitLaunch(const std::string& job_id) {
    MutexLock lock(&mutex_);
    while (true) {
      for (std::size_t i = 0; i < launches_.size(); ++i) {
        if (launches_[i].job_id == job_id) return absl::StrCat("process-", i + 1);
      }
      launched_changed_.Wait(&mutex_);
    }
  }
  bool killed(const std::string& handle) const {
    MutexLock lock(&mutex_);
    return killed_.contains(handle);
  }

 private:
  mutable Mutex mutex_;
  StatusCallback callback_ ABSL_GUARDED_BY(mutex_);
  LaunchStatus launched_as_ ABSL_GUARDED_BY(mutex_) = LaunchRunning();
  std::map<std::string, ProcessEnd> known_ends_ ABSL_GUARDED_BY(mutex_);
  int recoveries_ ABSL_GUARDED_BY(mutex_) = 0;
  CondVar launched_changed_;
  std::set<std::string> alive_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> killed_ ABSL_GUARDED_BY(mutex_);
  std::vector<LaunchRequest> launches_ ABSL_GUARDED_BY(mutex_);
  absl::Status launch_error_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> during_launch_ ABSL_GUARDED_BY(mutex_);
};

class FakeDatasets final : public DatasetSource {
 public:
  FakeDatasets() {
    DatasetFacts facts;
    facts.class_count = 10;
    facts.training_images = 60'000;
    Add("fashion-mnist", facts);
  }
  void Add(const std::string& name, DatasetFacts facts) {
    if (facts.reference.empty()) facts.reference = name;
    facts_[name] = std::move(facts);
  }
  void Remove(const std::string& name) { facts_.erase(name); }
  // What every question is answered with until it is OK again.
  void SetError(const absl::Status& error) { error_ = error; }

  std::vector<std::string> Names() const override {
    std::vector<std::string> names;
    for (const auto& [name, facts] : facts_) names.push_back(name);
    return names;
  }
  absl::StatusOr<DatasetPlace> Find(absl::string_view name) const override {
    if (!error_.ok()) return error_;
    if (!facts_.contains(std::string(name))) return absl::NotFoundError("no such data set");
    return DatasetPlace{.folder = absl::StrCat("/data/", name), .file = {}};
  }
  absl::StatusOr<DatasetFacts> Describe(absl::string_view name) override {
    if (!error_.ok()) return error_;
    const auto facts = facts_.find(std::string(name));
    if (facts == facts_.end()) return absl::NotFoundError("no such data set");
    return facts->second;
  }
  std::optional<std::string> Checksum(absl::string_view /*name*/) override { return checksum_; }
  void SetChecksum(const std::string& checksum) { checksum_ = checksum; }

 private:
  std::map<std::string, DatasetFacts> facts_;
  std::optional<std::string> checksum_;
  absl::Status error_;
};

// Remembers what was done; Publish can be made to fail or to call back. Thread-safe.
class FakeArtifacts final : public ArtifactStore {
 public:
  std::string AttemptDir(absl::string_view job_id, int attempt) const override {
    return absl::StrCat("/artifacts/", job_id, "/", attempt);
  }
  absl::Status MakeAttemptDir(absl::string_view job_id, int attempt) override {
    return Note("make ", absl::StrCat(job_id, "/", attempt));
  }
  absl::Status FreeAttemptsBefore(absl::string_view job_id, int attempt) override {
    return Note("free ", absl::StrCat(job_id, " before ", attempt));
  }
  std::string LogPath(absl::string_view job_id, int attempt) const override {
    return AttemptDir(job_id, attempt) + "/worker.log";
  }
  std::string TensorboardDir(absl::string_view job_id) const override {
    return absl::StrCat("/artifacts/", job_id, "/tensorboard");
  }
  std::string ArchivePath(absl::string_view model, std::int64_t version) const override {
    return absl::StrCat("/artifacts/", model, "/", version);
  }
  std::string DatasetPath(absl::string_view dataset, std::int64_t version) const override {
    return absl::StrCat("/artifacts/datasets/", dataset, "/", version);
  }
  std::string UploadsDir() const override { return "/artifacts/uploads"; }
  absl::Status Publish(const Publication& publication) override {
    std::function<absl::Status()> hook;
    {
      MutexLock lock(&mutex_);
      done_.push_back(absl::StrCat("publish ", publication.job_id, " as ", publication.name, "@",
                                   publication.version));
      hook = on_publish_;
    }
    return hook ? hook() : absl::OkStatus();
  }
  absl::Status FreeJob(absl::string_view job_id) override { return Note("free ", job_id); }
  absl::Status RemoveJob(absl::string_view job_id) override { return Note("remove ", job_id); }
  absl::Status RemoveVersion(absl::string_view model, std::int64_t version) override {
    return Note("remove ", absl::StrCat(model, "@", version));
  }

  bool HasCheckpoint(absl::string_view /*job_id*/) override {
    MutexLock lock(&mutex_);
    return keeps_checkpoints_;
  }
  absl::Status HandCheckpoint(absl::string_view ended_id, absl::string_view new_id) override {
    return Note("hand ", absl::StrCat(ended_id, " to ", new_id));
  }
  absl::Status CheckArchive(absl::string_view /*model*/, std::int64_t /*version*/,
                            std::int64_t /*size_bytes*/, absl::string_view /*sha256*/) override {
    MutexLock lock(&mutex_);
    return archive_;
  }

  absl::StatusOr<bool> Bring(const std::string& /*path*/) override {
    MutexLock lock(&mutex_);
    return there_;
  }
  std::string UriOf(const Publication& publication) const override {
    return absl::StrCat("s3://bucket/", publication.job_id);
  }
  // What Bring answers.
  void SetThere(absl::StatusOr<bool> there) {
    MutexLock lock(&mutex_);
    there_ = std::move(there);
  }

  void SetArchive(absl::Status archive) {
    MutexLock lock(&mutex_);
    archive_ = std::move(archive);
  }
  void LoseCheckpoints() {
    MutexLock lock(&mutex_);
    keeps_checkpoints_ = false;
  }
  absl::Status RemoveDataset(absl::string_view dataset, std::int64_t version) override {
    return Note("remove data set ", absl::StrCat(dataset, "@", version));
  }
  absl::Status RemoveDatasetsBut(const std::vector<DatasetReference>& kept) override {
    std::string names;
    for (const DatasetReference& version : kept) absl::StrAppend(&names, " ", version.Text());
    return Note("remove data sets but", names);
  }

  void OnPublish(std::function<absl::Status()> hook) {
    MutexLock lock(&mutex_);
    on_publish_ = std::move(hook);
  }
  bool Did(const std::string& what) const {
    MutexLock lock(&mutex_);
    return std::count(done_.begin(), done_.end(), what) > 0;
  }

 private:
  absl::Status Note(absl::string_view verb, absl::string_view what) {
    MutexLock lock(&mutex_);
    done_.push_back(absl::StrCat(verb, what));
    return absl::OkStatus();
  }

  mutable Mutex mutex_;
  std::vector<std::string> done_ ABSL_GUARDED_BY(mutex_);
  bool keeps_checkpoints_ ABSL_GUARDED_BY(mutex_) = true;
  absl::Status archive_ ABSL_GUARDED_BY(mutex_);
  absl::StatusOr<bool> there_ ABSL_GUARDED_BY(mutex_) = true;
  std::function<absl::Status()> on_publish_ ABSL_GUARDED_BY(mutex_);
};

// A worker's connection. Thread-safe.
class FakeLink final : public WorkerLink {
 public:
  void Stop() override {
    MutexLock lock(&mutex_);
    stopped_ = true;
  }
  void Suspend() override {
    MutexLock lock(&mutex_);
    suspended_ = true;
  }
  void Close(const absl::Status& status) override {
    MutexLock lock(&mutex_);
    closed_ = status;
  }
  bool stopped() const {
    MutexLock lock(&mutex_);
    return stopped_;
  }
  bool suspended() const {
    MutexLock lock(&mutex_);
    return suspended_;
  }
  std::optional<absl::Status> closed() const {
    MutexLock lock(&mutex_);
    return closed_;
  }

 private:
  mutable Mutex mutex_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool suspended_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
};

// A store whose disk fills up when the test says so. Thread-safe.
class FullDiskStore final : public JobStore {
 public:
  explicit FullDiskStore(JobStore* store) : store_(store) {}

  void set_full(bool full) {
    MutexLock lock(&mutex_);
    full_ = full;
  }

  // Called by the next ReadEvents, before it reads.
  void DuringNextRead(std::function<void()> call) {
    MutexLock lock(&mutex_);
    during_read_ = std::move(call);
  }

  absl::StatusOr<std::int64_t> Insert(const JobRecord& record,
                                      const std::vector<v1::JobEvent>& events) override {
    if (full()) return Full();
    return store_->Insert(record, events);
  }
  absl::StatusOr<JobRecord> Load(absl::string_view id) override { return store_->Load(id); }
  absl::StatusOr<std::optional<JobRecord>> FindByRequestId(absl::string_view creator,
                                                           absl::string_view id) override {
    return store_->FindByRequestId(creator, id);
  }
  absl::StatusOr<std::optional<std::string>> FindDeletedByRequestId(absl::string_view creator,
                                                                    absl::string_view id,
                                                                    absl::Time now) override {
    return store_->FindDeletedByRequestId(creator, id, now);
  }
  absl::StatusOr<std::vector<JobRecord>> LoadUnfinished() override {
    return store_->LoadUnfinished();
  }
  absl::StatusOr<JobCounts> CountJobs() override { return store_->CountJobs(); }
  absl::StatusOr<JobPage> List(const JobQuery& query) override { return store_->List(query); }
  absl::Status Commit(const JobUpdate& update) override {
    if (full()) return Full();
    return store_->Commit(update);
  }
  absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(absl::string_view id, std::int64_t after,
                                                       int limit, bool epochs_only) override {
    std::function<void()> during;
    {
      MutexLock lock(&mutex_);
      during = std::exchange(during_read_, nullptr);
    }
    if (during) during();
    return store_->ReadEvents(id, after, limit, epochs_only);
  }
  absl::StatusOr<v1::ConfusionMatrix> ReadConfusionMatrix(absl::string_view id) override {
    return store_->ReadConfusionMatrix(id);
  }
  absl::StatusOr<v1::GetPredictionsResponse> ReadPredictions(
      absl::string_view id, const PredictionQuery& query) override {
    return store_->ReadPredictions(id, query);
  }
  absl::Status Delete(absl::string_view id, absl::Time now) override {
    return store_->Delete(id, now);
  }

 private:
  bool full() const {
    MutexLock lock(&mutex_);
    return full_;
  }
  static absl::Status Full() {
    return Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", "The disk is full.");
  }

  JobStore* const store_;
  mutable Mutex mutex_;
  bool full_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> during_read_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::jobs

#endif  // ATELIER_TESTS_UNIT_JOBS_FAKES_H_
