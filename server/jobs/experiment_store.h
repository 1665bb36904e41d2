// Where experiments and their runs are kept: what the experiment controller needs of a database.
// server/store implements it with SQLite, in the database of the jobs: a run gets its job in the
// transaction that stores the job (JobStore::Insert with the run's request id), so that no moment
// exists in which a job is stored and its run still waits.
#ifndef ATELIER_SERVER_JOBS_EXPERIMENT_STORE_H_
#define ATELIER_SERVER_JOBS_EXPERIMENT_STORE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "atelier/v1/experiment_service.pb.h"

namespace atelier::jobs {

// An experiment as it is stored.
struct ExperimentRecord {
  std::string id;             // Without `experiments/`.
  v1::Experiment experiment;  // Without runs and their counts.
  std::string request_id;     // Empty if none was given.
  std::string request;        // The request as it came, to compare repeats with.
};

// A run as it is stored, with what its job has come to.
struct RunRecord {
  v1::ExperimentRun run;
  std::string request_id;  // Of the request that makes its job; no other request has it.
};

struct ExperimentPage {
  std::vector<v1::Experiment> experiments;  // Newest first, with counts, without runs.
  std::string next_page_token;              // Empty on the last page.
};

// Thread-safe; calls wait for the disk. What a call that changes something answered with OK is on
// the disk. Errors everywhere: as JobStore.
class ExperimentStore {
 public:
  virtual ~ExperimentStore() = default;

  // Stores a new experiment with its runs, which all wait. ALREADY_EXISTS if the id was ever used
  // or the request id is taken; NOT_FOUND (VERSION_NOT_FOUND) if a version that a configuration
  // starts from is gone.
  virtual absl::Status InsertExperiment(const ExperimentRecord& record,
                                        const std::vector<RunRecord>& runs) = 0;

  // NOT_FOUND (EXPERIMENT_NOT_FOUND).
  virtual absl::StatusOr<ExperimentRecord> LoadExperiment(absl::string_view id) = 0;

  // The experiment that a request made; nothing if there is none.
  virtual absl::StatusOr<std::optional<ExperimentRecord>> FindExperimentByRequestId(
      absl::string_view creator, absl::string_view request_id) = 0;

  // The id of the experiment that a request made, if it was deleted within the last day; nothing
  // otherwise.
  virtual absl::StatusOr<std::optional<std::string>> FindDeletedExperimentByRequestId(
      absl::string_view creator, absl::string_view request_id, absl::Time now) = 0;

  // Ids of all experiments that have not ended, oldest first.
  virtual absl::StatusOr<std::vector<std::string>> ListUnendedExperiments() = 0;

  // INVALID_ARGUMENT for a page token from elsewhere.
  virtual absl::StatusOr<ExperimentPage> ListExperiments(int page_size,
                                                         absl::string_view page_token) = 0;

  // All runs by index, as they are now; empty for an unknown experiment.
  virtual absl::StatusOr<std::vector<RunRecord>> ReadRuns(absl::string_view id) = 0;

  // Replaces the experiment's record. With `drop_waiting`, the runs that wait are dropped for good,
  // for that reason. NOT_FOUND (EXPERIMENT_NOT_FOUND).
  virtual absl::Status CommitExperiment(const ExperimentRecord& record,
                                        const std::optional<std::string>& drop_waiting) = 0;

  // A run that waits will never become a job: it failed, for that reason.
  virtual absl::Status RefuseRun(absl::string_view id, int index, absl::string_view reason) = 0;

  // NOT_FOUND (EXPERIMENT_NOT_FOUND). The id stays taken, the jobs stay.
  virtual absl::Status DeleteExperiment(absl::string_view id, absl::Time now) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EXPERIMENT_STORE_H_
