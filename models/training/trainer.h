// Trains one network on one data set by the study's recipe: seeded validation split, shuffled
// epochs, data-parallel shards, an optimiser, early stopping, best weights kept, checkpoints. The
// same options, data and processor give bit-identical weights, whatever the number of threads and
// however often the run was suspended or killed and continued.
//
// A Trainer belongs to one thread: Create and Run on it, callbacks come on it. Only the StopSignal
// is touched from elsewhere. LibTorch's exceptions end here, as statuses of a FailureReason.
#ifndef ATELIER_MODELS_TRAINING_TRAINER_H_
#define ATELIER_MODELS_TRAINING_TRAINER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/base/rank_group.h"
#include "models/base/step_profile.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/network/compute_path.h"
#include "models/network/trained_model.h"
#include "models/network/training_options.h"
#include "models/training/calibration.h"
#include "models/training/epoch_metrics.h"

namespace atelier::models {

// Where a training is, told after every step.
struct StepProgress {
  // The epoch being trained, from 1, and epochs at most.
  int64_t epoch = 0;
  int64_t epochs = 0;
  // Steps done of this epoch, and steps of an epoch.
  int64_t step = 0;
  int64_t steps_per_epoch = 0;
  // Optimiser steps done, over all epochs.
  int64_t global_step = 0;
  // Means over this epoch's images so far, dropout on.
  double training_loss = 0;
  double training_accuracy = 0;
  // Over about the last second.
  double images_per_second = 0;
};

struct CheckpointSaved {
  std::string path;
  // Finished epochs and optimiser steps it holds.
  int64_t epoch = 0;
  int64_t global_step = 0;
  int64_t size_bytes = 0;
};

// Told what happens; every method is called on Run's thread and holds training up while it runs.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  virtual void OnStep(const StepProgress& /*progress*/) {}
  virtual void OnEpoch(const EpochMetrics& /*metrics*/) {}
  // The checkpoint is durably on disk. It is written beside the training: an epoch's own comes some
  // steps into the next epoch, the last one before the training's end.
  virtual void OnCheckpoint(const CheckpointSaved& /*checkpoint*/) {}
  // `epoch` is the last one trained, `best_epoch` the one whose weights count.
  virtual void OnEarlyStop(int64_t /*epoch*/, int64_t /*best_epoch*/) {}
};

struct CheckpointOptions {
  // Folder for this run's checkpoints, made if it is not there; empty writes none. At most two
  // files stay: `checkpoint-<global step>.ckpt`.
  std::string dir;
  // Folders where checkpoints to continue from may lie (`dir` itself may be among them). The valid
  // one with the most steps is taken; damaged ones are passed over; none valid begins afresh.
  std::vector<std::string> resume_from;
  // A folder with the checkpoint of another training that this one continues where there is none of
  // its own; empty for none. Its epochs count on, and patience counts from there.
  std::string continue_from = {};
};

// What a run continues from.
struct ResumePoint {
  // Finished epochs, steps done of the next one, and optimiser steps done.
  int64_t epoch = 0;
  int64_t step = 0;
  int64_t global_step = 0;
  // The finished epochs' metrics, in order.
  std::vector<EpochMetrics> history;
};

// A trained model as it would be served in bfloat16.
struct Bfloat16Validation {
  // Fraction of the validation images that it classifies correctly.
  double accuracy = 0;
  // How what is multiplied was rounded, too (InferenceNetwork::product_rounding), or only the
  // dense layers' weights.
  ProductRounding product_rounding = ProductRounding::kNone;
};

struct TrainingOutcome {
  enum class End {
    kFinished,   // All epochs trained.
    kEarlyStop,  // What is monitored no longer improved.
    kStopped,    // StopRequest::kStop.
    kDiverged,   // The loss became NaN or infinite after the best epoch.
    kSuspended,  // StopRequest::kSuspend; the checkpoint is on disk if there is a folder for it.
  };
  End end = End::kFinished;
  // Finished epochs, those before a resume included.
  std::vector<EpochMetrics> history;
  // The best epoch by TrainingOptions::monitor; 0 if none was finished.
  int64_t best_epoch = 0;
  // Training and validating, over everything that still counts, earlier attempts included.
  double training_seconds = 0;
  // Training images a second over the whole training, validation excluded.
  double images_per_second = 0;
  // What computed it.
  ComputePath path = ComputePath::kKernels;
  // As Trainer::ValidateInBfloat16; empty if nobody asked for it.
  std::optional<Bfloat16Validation> bfloat16_validation;
  // As Trainer::CalibrateBestModel; empty if nobody asked for it.
  std::optional<Calibration> calibration;
  // Of kDiverged: which loss became what, where.
  absl::Status failure;
  // What makes the figures doubtful, a sentence each, see TrainingWarnings.
  std::vector<std::string> warnings;
};

class Trainer {
 public:
  // Checks the options, builds the network and looks for a checkpoint; without one, the layers
  // options.start.taken_layers are those of `start`, which may be null if there are none.
  // kInvalidSpec as TrainingOptions::Validate, if a valid checkpoint was made under other options
  // or data, and if `start` has no such layers; kInternal if the folder cannot be written, or there
  // is nothing in continue_from.
  //
  // With `ranks`, which must outlive the trainer, several processes train together: all with the
  // same options, data and checkpoints to continue from, which is checked, but only rank 0 with a
  // `dir`. A request to one of them to end ends all, after the same step. kRankLost, also of Run,
  // if one of them is lost or begins elsewhere; kInternal if they have different weights after an
  // epoch.
  static absl::StatusOr<std::unique_ptr<Trainer>> Create(const TrainingOptions& options,
                                                         std::shared_ptr<const Dataset> dataset,
                                                         const CheckpointOptions& checkpoints = {},
                                                         const TrainedModel* start = nullptr,
                                                         RankGroup* ranks = nullptr);
  ~Trainer();

  // What Run will continue from; empty if it begins afresh.
  const std::optional<ResumePoint>& resumed() const;

  // Trains until done or told to end; `observer` and `stop` may be null. A stop request is honoured
  // before the next step. kDiverged, with epoch and step, if the loss is NaN or infinite before an
  // epoch is finished;
  // kOutOfMemory; kInternal if a checkpoint cannot be written. A checkpoint that is being written
  // is finished, and told, in any case. Call once.
  absl::StatusOr<TrainingOutcome> Run(TrainingObserver* observer = nullptr,
                                      const StopSignal* stop = nullptr);

  // The network with the best epoch's weights. kFailedPrecondition if no epoch is finished.
  absl::StatusOr<TrainedModel> BestModel() const;
  // BestModel on the validation images as this machine serves it in bfloat16; empty if it is served
  // in float32 whatever is asked for, as LibTorch serves. Errors as BestModel; kCancelled if `stop`
  // (may be null) asks to end.
  absl::StatusOr<std::optional<Bfloat16Validation>> ValidateInBfloat16(
      const StopSignal* stop = nullptr) const;
  // The temperature that calibrates BestModel's probabilities, fitted on the validation images
  // alone. Errors as above.
  absl::StatusOr<Calibration> CalibrateBestModel(const StopSignal* stop = nullptr) const;
  // The first validation images side by side, `most` of them if there are so many.
  std::vector<uint8_t> ValidationImages(int64_t most) const;
  // The network as validation would see it after the last step.
  TrainedModel CurrentModel() const;
  // Where the steps' time went so far.
  StepProfile profile() const;

 private:
  class Impl;
  explicit Trainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_TRAINER_H_
