// One attempt at a job, from its assignment to its last event: loads the data, trains or goes on
// from a checkpoint, scores the test set, writes the archive; or does what a job of another kind
// does (import_run.h, scoring_run.h). What happens is told as events; with those the only part of
// the worker that knows models/.
#ifndef ATELIER_SERVER_WORKER_JOB_RUN_H_
#define ATELIER_SERVER_WORKER_JOB_RUN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/rank_group.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/network/trained_model.h"
#include "models/training/trainer.h"

namespace atelier::worker {

class JobRun {
 public:
  // `report` takes the events, on Run's thread, in order.
  explicit JobRun(std::function<void(v1::WorkerEvent)> report) : report_(std::move(report)) {}

  // Does all of it; the last event reported is the attempt's last. With `ranks`, as the first of
  // them. FailureReason kRankLost, and no last event, if another was lost. Call once.
  absl::Status Run(const v1::Assignment& assignment, models::RankGroup* ranks = nullptr);

  // To be called at any time, before Run too, from any thread or signal handler.
  //
  // Ends training before its next step; what there is then is scored and stored. Ends a job of
  // another kind, of which nothing stays.
  void Stop() { training_stop_.Stop(); }
  // Ends the run as soon as it can be taken up again: after a checkpoint, or without one where the
  // last still holds. An archive that is being written is finished.
  void Suspend() {
    training_stop_.Suspend();
    suspend_.Suspend();
  }
  bool suspended() const { return suspend_.Get() == models::StopRequest::kSuspend; }
  // For what is done before Run.
  const models::StopSignal& suspend_signal() const { return suspend_; }

 private:
  struct Training {
    models::TrainingOutcome outcome;
    std::optional<models::TrainedModel> model = {};    // Empty if no epoch was finished.
    std::vector<std::uint8_t> validation_images = {};  // Some, to check the stored model with.
  };

  // Answers with the attempt's last event. CANCELLED if it was suspended.
  absl::StatusOr<v1::WorkerEvent> Work(const v1::Assignment& assignment);
  absl::StatusOr<v1::WorkerEvent> TrainAndStore(const v1::Assignment& assignment);
  // The last event of a job that leaves nothing unless it is done to its end.
  absl::StatusOr<v1::WorkerEvent> AllOrNothing(absl::StatusOr<v1::WorkerEvent> last) const;
  absl::StatusOr<Training> Train(const v1::Assignment& assignment,
                                 const models::TrainingOptions& options, models::Trainer* trainer);
  // What only the best epoch's model can tell, on the validation images.
  absl::Status MeasureBestModel(const atelier::v1::TrainingSpec& spec,
                                const models::Trainer& trainer, models::TrainingOutcome* outcome);
  // Scores the test images and writes the archive. Requires a model.
  absl::StatusOr<v1::WorkerEvent> Finish(const v1::Assignment& assignment,
                                         const models::TrainingOptions& options,
                                         const Training& training, const models::Dataset& dataset);
  void ReportPhase(v1::Phase phase);
  void ReportResumed(const models::ResumePoint& point, std::int64_t recorded_epoch);

  const std::function<void(v1::WorkerEvent)> report_;
  models::RankGroup* ranks_ = nullptr;
  models::StopSignal training_stop_;
  // For what a request to stop must not cut short: loading the data and scoring.
  models::StopSignal suspend_;
};

// The training alone, as a rank beyond the first, which reports nothing and leaves nothing. OK once
// the training has ended, however; the errors of Trainer's methods.
absl::Status TrainAsFurtherRank(const v1::Assignment& assignment, models::RankGroup* ranks,
                                const models::StopSignal* stop);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_JOB_RUN_H_
