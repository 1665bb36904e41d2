// Where jobs and their events are kept: what the controller needs of a database. server/store
// implements it with SQLite.
#ifndef ATELIER_SERVER_JOBS_JOB_STORE_H_
#define ATELIER_SERVER_JOBS_JOB_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/job.pb.h"
#include "atelier/v1/model_service.pb.h"
#include "atelier/v1/training_service.pb.h"

namespace atelier::jobs {

// A job as it is stored: what clients see and what the controller needs besides.
struct JobRecord {
  std::string id;               // Without `jobs/`.
  std::int64_t sequence = 0;    // Given by Insert; jobs accepted later have higher ones.
  v1::TrainingJob job;          // Without queue_position.
  std::string request_id;       // Empty if none was given.
  std::string request;          // The request's specification as it came, to compare repeats with.
  std::string notify_url;       // Insert alone reads it: told once the job has ended, see Notice.
  std::int64_t last_event = 0;  // Number of the newest event.
  std::int32_t recorded_epoch = 0;  // Last epoch event that is not withdrawn; 0 for none.
  std::string token;   // Secret of the current or last attempt, or of the one being launched.
  std::string handle;  // Its process, as the executor named it; empty until launched.
  std::int64_t acknowledged = 0;  // The attempt's last event that is stored.
  // True once the attempt's starting point is known: it sent Resumed or any progress.
  bool positioned = false;
  std::int32_t lost_attempts = 0;     // Attempts that ended without a word.
  bool stop_requested = false;        // By a client.
  std::int64_t reserved_version = 0;  // Version number taken for the outcome; 0 for none.
  bool checkpointed = false;          // The next attempt finds a checkpoint.
  bool files_freed = false;           // After the end: what need not outlive the job is gone.

  // The newest attempt's number; 0 before the first.
  int attempt() const { return job.attempts_size(); }
  // True from the decision to start an attempt until it is known to have ended.
  bool attempt_active() const {
    return job.attempts_size() > 0 && !job.attempts(job.attempts_size() - 1).has_end_time();
  }
};

// Jobs by state; a state without jobs may be missing.
using JobCounts = std::map<v1::JobState, std::int64_t>;

// What the test set's scoring left.
struct Evaluation {
  v1::ConfusionMatrix confusion_matrix;
  std::vector<v1::Prediction> predictions;  // In the order in which they are shown.
};

// Everything that one step changes; stored in one transaction or not at all.
struct JobUpdate {
  JobRecord record;  // Replaces the one of the same id.
  // Appended, in order; their numbers follow the highest one stored so far.
  std::vector<v1::JobEvent> events;
  // Every stored step, epoch, checkpoint and early-stop event with this number or a higher one is
  // withdrawn, before `events` are appended.
  std::optional<std::int64_t> withdraw_from;
  std::optional<Evaluation> evaluation;
  std::optional<v1::ModelVersion> model_version;  // Registered as a version of its model.
  std::optional<v1::Dataset> dataset_version;     // Registered as a version of its data set.
};

// Which jobs to list.
struct JobQuery {
  int page_size = 50;
  std::string page_token = {};            // From the page before; empty for the first.
  std::vector<v1::JobState> states = {};  // Empty for all.
};

struct JobPage {
  std::vector<JobRecord> records;  // Newest first.
  std::string next_page_token;     // Empty on the last page.
};

// Which predictions to read.
struct PredictionQuery {
  int page_size = 100;
  std::string page_token = {};
  std::optional<int> true_class = {};
  std::optional<int> predicted_class = {};
  bool wrong_only = false;
};

// Thread-safe; calls wait for the disk, so none belongs on a gRPC thread. What a call that changes
// something answered with OK is on the disk, whatever happens next.
//
// Errors everywhere: INTERNAL (STORE_FAILED) when the database fails, RESOURCE_EXHAUSTED
// (DISK_FULL) when its disk is full; nothing is changed then.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // Stores a new job with its first events and answers with its sequence number. ALREADY_EXISTS if
  // the id was ever used, also by a job deleted since, or its creator's request id is; NOT_FOUND
  // (VERSION_NOT_FOUND) if the version that it starts from is gone.
  virtual absl::StatusOr<std::int64_t> Insert(const JobRecord& record,
                                              const std::vector<v1::JobEvent>& events) = 0;

  // NOT_FOUND (JOB_NOT_FOUND).
  virtual absl::StatusOr<JobRecord> Load(absl::string_view id) = 0;

  // The job that a creator's request made; nothing if there is none.
  virtual absl::StatusOr<std::optional<JobRecord>> FindByRequestId(
      absl::string_view creator, absl::string_view request_id) = 0;

  // The id of the job that a creator's request made, if that job was deleted within the last day;
  // nothing otherwise.
  virtual absl::StatusOr<std::optional<std::string>> FindDeletedByRequestId(
      absl::string_view creator, absl::string_view request_id, absl::Time now) = 0;

  // Every job that has not ended or whose files are not freed, oldest first.
  virtual absl::StatusOr<std::vector<JobRecord>> LoadUnfinished() = 0;

  // All jobs that are stored.
  virtual absl::StatusOr<JobCounts> CountJobs() = 0;

  // INVALID_ARGUMENT for a page token from elsewhere.
  virtual absl::StatusOr<JobPage> List(const JobQuery& query) = 0;

  // NOT_FOUND (JOB_NOT_FOUND).
  virtual absl::Status Commit(const JobUpdate& update) = 0;

  // Events with a number above `after` that are not withdrawn, oldest first, `limit` at most.
  // `epochs_only` leaves progress within epochs and resource samples out. Empty for an unknown job.
  virtual absl::StatusOr<std::vector<v1::JobEvent>> ReadEvents(absl::string_view id,
                                                               std::int64_t after, int limit,
                                                               bool epochs_only) = 0;

  // NOT_FOUND (JOB_NOT_FOUND); FAILED_PRECONDITION (NOT_EVALUATED) before the test set was scored.
  virtual absl::StatusOr<v1::ConfusionMatrix> ReadConfusionMatrix(absl::string_view id) = 0;

  // As ReadConfusionMatrix; INVALID_ARGUMENT for a page token from elsewhere.
  virtual absl::StatusOr<v1::GetPredictionsResponse> ReadPredictions(
      absl::string_view id, const PredictionQuery& query) = 0;

  // Deletes a job with its events and evaluation; NOT_FOUND (JOB_NOT_FOUND). Its id stays taken,
  // its request's id for a day.
  virtual absl::Status Delete(absl::string_view id, absl::Time now) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_JOB_STORE_H_
