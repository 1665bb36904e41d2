#include "models/training/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <future>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/base/exception_guard.h"
#include "models/base/failure.h"
#include "models/base/random.h"
#include "models/compute/compile.h"
#include "models/data/validation_split.h"
#include "models/files/sha256.h"
#include "models/kernels/fastest_precision.h"
#include "models/training/checkpoint.h"
#include "models/training/scoring.h"
#include "models/training/starting_point.h"
#include "models/training/step_timing.h"
#include "models/training/training_engine.h"
#include "models/training/training_warnings.h"
#include "models/training/validation.h"

namespace atelier::models {
namespace {

constexpr int64_t kValidationBatch = 500;
// What ranks validate before they ask each other whether to end.
constexpr size_t kImagesBetweenAsking = 8 * kValidationBatch;

// With the weights that balance the classes where they are asked for, see
// TrainingOptions::balance_classes.
TrainingOptions WithClassWeights(TrainingOptions options, const Dataset& dataset,
                                 absl::Span<const int32_t> training) {
  if (!options.balance_classes) return options;
  for (const int64_t count : CountByClass(dataset.training(), training, dataset.classes())) {
    const double balanced = static_cast<double>(training.size()) /
                            static_cast<double>(dataset.classes() * std::max<int64_t>(count, 1));
    options.class_weights.push_back(count > 0 ? balanced : 0);
  }
  return options;
}

// What ends a training whose `loss` is no number any more.
absl::Status Diverged(absl::string_view loss, double value, int64_t epoch, int64_t step,
                      double learning_rate) {
  return Failure(
      FailureReason::kDiverged,
      absl::StrCat("the ", loss, " loss became ", value, " in epoch ", epoch, ", step ", step,
                   " (learning rate ", learning_rate, "); use a lower learning rate"));
}

}  // namespace

class Trainer::Impl {
 public:
  Impl(const TrainingOptions& options, std::shared_ptr<const Dataset> dataset,
       const CheckpointOptions& checkpoints, RankGroup* ranks)
      : options_(options),
        dataset_(std::move(dataset)),
        checkpoints_(checkpoints),
        ranks_(ranks),
        split_(SplitOf(*dataset_, options.ValidationImages(*dataset_), options.seed)),
        steps_per_epoch_((static_cast<int64_t>(split_.training.size()) + options.batch_size - 1) /
                         options.batch_size) {}

  absl::Status Prepare(const TrainedModel* start);
  absl::StatusOr<TrainingOutcome> Run(TrainingObserver* observer, const StopSignal* stop);
  // Waits for the checkpoint that is being written, and tells the observer of it.
  absl::Status FinishCheckpoint();
  absl::StatusOr<TrainedModel> BestModel() const;
  absl::StatusOr<std::optional<Bfloat16Validation>> ValidateInBfloat16(
      const StopSignal* stop) const;
  absl::StatusOr<Calibration> CalibrateBestModel(const StopSignal* stop) const;
  std::vector<uint8_t> ValidationImages(int64_t most) const;
  TrainedModel CurrentModel() const { return {options_.architecture, engine_->AveragedWeights()}; }
  StepProfile Profile() const { return engine_->profile(); }

  std::optional<ResumePoint> resumed_;

 private:
  void MakeEngine(const TrainedModel& model) {
    engine_ =
        std::make_unique<TrainingEngine>(WithClassWeights(options_, *dataset_, split_.training),
                                         dataset_->training(), model, ranks_);
  }
  absl::StatusOr<ValidationMetrics> Validate(const InferenceNetwork& network,
                                             const StopSignal* stop) const;
  // Validates what was trained by now. kCancelled, with asked_, if asked to end before that.
  absl::StatusOr<ValidationMetrics> ValidateEpoch();
  // `otherwise`, with what differs and `when`, unless all ranks have the same weights.
  absl::Status CheckSame(const std::vector<NamedTensor>& weights, FailureReason otherwise,
                         absl::string_view when) const;
  // What is asked of this process.
  StopRequest Requested() const { return stop_ == nullptr ? StopRequest::kNone : stop_->Get(); }
  // Takes up what is asked of any rank; all ranks have to be at the same step.
  void Ask();
  // Of a step, counted from 0.
  double LearningRate(int64_t step) const {
    return options_.LearningRateAt(step, options_.epochs * steps_per_epoch_);
  }
  int64_t FinishedEpochs() const { return static_cast<int64_t>(state_.history.size()); }
  bool OutOfPatience() const {
    const int64_t since = std::max(state_.best_epoch, state_.continued_epochs);
    return FinishedEpochs() > 0 && FinishedEpochs() - since >= options_.patience;
  }

  // Trains what is left of the current epoch and finishes it. False if asked to end before that.
  absl::StatusOr<bool> RunEpoch();
  absl::Status TrainStep(absl::Span<const int32_t> order);
  void ReportStep(int64_t images, double seconds);
  absl::Status FinishEpoch(const ValidationMetrics& validated, double validation_seconds);
  // Begins to write a checkpoint of now beside the training, once the one before is on disk.
  absl::Status BeginCheckpoint();
  // Tells the observer of the checkpoint that is being written, if it is done.
  absl::Status ReportCheckpoint();
  absl::StatusOr<TrainingOutcome> EndWith(TrainingOutcome::End end);
  // A training that diverges after a finished epoch ends with what it had.
  absl::StatusOr<TrainingOutcome> EndByError(const absl::Status& error);

  // Constant after construction.
  const TrainingOptions options_;
  const std::shared_ptr<const Dataset> dataset_;
  const CheckpointOptions checkpoints_;
  RankGroup* const ranks_;  // Null for a process that trains alone.
  const ValidationSplit split_;
  const int64_t steps_per_epoch_;

  // Without weights and what the optimiser remembers: the engine has them.
  TrainingState state_;
  std::unique_ptr<TrainingEngine> engine_;
  Stopwatch watch_;
  RateMeter rate_;
  TrainingObserver silent_;
  TrainingObserver* observer_ = &silent_;
  const StopSignal* stop_ = nullptr;
  StopRequest asked_ = StopRequest::kNone;
  // The checkpoint being written, at most one.
  std::future<absl::StatusOr<CheckpointSaved>> writing_;
};

absl::Status Trainer::Impl::Prepare(const TrainedModel* start) {
  if (absl::Status status = PrepareCheckpoints(checkpoints_.dir); !status.ok()) return status;
  auto point = FindStartingPoint(options_, options_.Fingerprint(*dataset_), checkpoints_, start);
  if (!point.ok()) return point.status();
  state_ = std::move(point->state);
  // A file system may show one of them a checkpoint late: another attempt helps.
  if (absl::Status status = CheckSame(state_.weights, FailureReason::kRankLost, "to begin with");
      !status.ok()) {
    return status;
  }
  MakeEngine({options_.architecture, std::exchange(state_.weights, {})});
  if (!point->from_checkpoint) return absl::OkStatus();
  engine_->SetOptimizerState(std::exchange(state_.optimizer_state, {}));
  engine_->SetAverage({options_.architecture, std::exchange(state_.average, {})});
  resumed_ = {FinishedEpochs(), state_.epoch.step, state_.global_step, state_.history};
  return absl::OkStatus();
}

absl::StatusOr<TrainingOutcome> Trainer::Impl::Run(TrainingObserver* observer,
                                                   const StopSignal* stop) {
  if (observer != nullptr) observer_ = observer;
  stop_ = stop;
  while (FinishedEpochs() < options_.epochs) {
    if (OutOfPatience()) {
      if (absl::Status status = FinishCheckpoint(); !status.ok()) return status;
      observer_->OnEarlyStop(FinishedEpochs(), state_.best_epoch);
      return EndWith(TrainingOutcome::End::kEarlyStop);
    }
    absl::StatusOr<bool> finished = RunEpoch();
    if (!finished.ok()) return EndByError(finished.status());
    if (*finished) continue;
    if (asked_ == StopRequest::kStop) return EndWith(TrainingOutcome::End::kStopped);
    if (absl::Status status = BeginCheckpoint(); !status.ok()) return status;
    return EndWith(TrainingOutcome::End::kSuspended);
  }
  return EndWith(TrainingOutcome::End::kFinished);
}

absl::Status Trainer::Impl::CheckSame(const std::vector<NamedTensor>& weights,
                                      FailureReason otherwise, absl::string_view when) const {
  if (ranks_ == nullptr) return absl::OkStatus();
  Sha256 sum;
  const std::string what = absl::StrCat(state_.fingerprint, state_.global_step);
  sum.Update(what.data(), what.size());
  for (const NamedTensor& tensor : weights) {
    sum.Update(tensor.values.data(), tensor.values.size() * sizeof(float));
  }
  const std::string mine = sum.Finish();
  std::string all(mine.size() * static_cast<size_t>(ranks_->size()), '\0');
  ranks_->Gather(mine.data(), mine.size(), all.data());
  for (int rank = 0; rank < ranks_->size(); ++rank) {
    if (all.compare(static_cast<size_t>(rank) * mine.size(), mine.size(), mine) == 0) continue;
    return Failure(otherwise, absl::StrCat("ranks ", ranks_->rank(), " and ", rank,
                                           " have different weights, data or options ", when));
  }
  return absl::OkStatus();
}

void Trainer::Impl::Ask() {
  asked_ = Requested();
  if (ranks_ == nullptr) return;
  std::vector<StopRequest> all(static_cast<size_t>(ranks_->size()));
  ranks_->Gather(&asked_, sizeof(asked_), all.data());
  asked_ = *std::max_element(all.begin(), all.end());
}

absl::StatusOr<ValidationMetrics> Trainer::Impl::Validate(const InferenceNetwork& network,
                                                          const StopSignal* stop) const {
  const absl::StatusOr<std::vector<ImageScore>> scores = ScoreImages(
      network, dataset_->training(), split_.validation, kValidationBatch, engine_->team(), stop);
  if (!scores.ok()) return scores.status();
  return Validated(*scores, *dataset_, split_.validation);
}

absl::StatusOr<ValidationMetrics> Trainer::Impl::ValidateEpoch() {
  const auto network =
      Compile(CurrentModel(), {Precision::kFloat32, options_.device, options_.path_choice});
  if (ranks_ == nullptr) {
    auto validated = Validate(*network, stop_);
    if (absl::IsCancelled(validated.status())) asked_ = Requested();
    return validated;
  }
  // Ranks end together: after the same images.
  std::vector<ImageScore> scores;
  for (size_t done = 0; done < split_.validation.size(); done = scores.size()) {
    Ask();
    if (asked_ != StopRequest::kNone) return Failure(FailureReason::kCancelled, "asked to end");
    const auto some =
        ScoreImages(*network, dataset_->training(),
                    absl::MakeConstSpan(split_.validation).subspan(done, kImagesBetweenAsking),
                    kValidationBatch, engine_->team(), nullptr);
    if (!some.ok()) return some.status();
    scores.insert(scores.end(), some->begin(), some->end());
  }
  return Validated(scores, *dataset_, split_.validation);
}

absl::StatusOr<bool> Trainer::Impl::RunEpoch() {
  std::vector<int32_t> order = split_.training;
  RandomStream random(options_.seed, RandomPurpose::kOrder,
                      static_cast<uint64_t>(FinishedEpochs()));
  Shuffle(order, random);
  watch_.Lap();
  while (state_.epoch.step < steps_per_epoch_) {
    Ask();
    if (asked_ != StopRequest::kNone) return false;
    if (absl::Status status = TrainStep(order); !status.ok()) return status;
    if (absl::Status status = ReportCheckpoint(); !status.ok()) return status;
  }
  const absl::StatusOr<ValidationMetrics> validated = ValidateEpoch();
  if (absl::IsCancelled(validated.status())) return false;
  if (!validated.ok()) return validated.status();
  if (absl::Status status = FinishEpoch(*validated, watch_.Lap()); !status.ok()) return status;
  return true;
}

absl::Status Trainer::Impl::TrainStep(absl::Span<const int32_t> order) {
  const absl::Span<const int32_t> batch =
      order.subspan(static_cast<size_t>(state_.epoch.step * options_.batch_size),
                    static_cast<size_t>(options_.batch_size));
  const PassResult result =
      engine_->Step(batch, state_.global_step, LearningRate(state_.global_step));
  if (!std::isfinite(result.loss_sum)) {
    return Diverged("training", result.loss_sum, FinishedEpochs() + 1, state_.epoch.step + 1,
                    LearningRate(state_.global_step));
  }
  ++state_.epoch.step;
  ++state_.global_step;
  state_.epoch.images += static_cast<int64_t>(batch.size());
  state_.epoch.correct += result.correct;
  state_.epoch.loss_sum += result.loss_sum;
  const double seconds = watch_.Lap();
  state_.epoch.training_seconds += seconds;
  ReportStep(static_cast<int64_t>(batch.size()), seconds);
  return absl::OkStatus();
}

void Trainer::Impl::ReportStep(int64_t images, double seconds) {
  const auto done = static_cast<double>(state_.epoch.images);
  StepProgress progress;
  progress.epoch = FinishedEpochs() + 1;
  progress.epochs = options_.epochs;
  progress.step = state_.epoch.step;
  progress.steps_per_epoch = steps_per_epoch_;
  progress.global_step = state_.global_step;
  progress.training_loss = state_.epoch.loss_sum / done;
  progress.training_accuracy = static_cast<double>(state_.epoch.correct) / done;
  progress.images_per_second = rate_.Add(images, seconds);
  observer_->OnStep(progress);
}

absl::Status Trainer::Impl::FinishEpoch(const ValidationMetrics& validated,
                                        double validation_seconds) {
  const EpochProgress done = std::exchange(state_.epoch, {});
  const auto images = static_cast<double>(done.images);
  EpochMetrics metrics;
  metrics.epoch = FinishedEpochs() + 1;
  metrics.training_loss = done.loss_sum / images;
  metrics.training_accuracy = static_cast<double>(done.correct) / images;
  metrics.validation_loss = validated.loss;
  metrics.validation_accuracy = validated.accuracy;
  metrics.validation_macro_f1 = validated.macro_f1;
  metrics.learning_rate = LearningRate(state_.global_step - 1);
  metrics.seconds = done.training_seconds + validation_seconds;
  metrics.images_per_second = images / done.training_seconds;
  if (!std::isfinite(metrics.validation_loss)) {
    return Diverged("validation", metrics.validation_loss, metrics.epoch, done.step,
                    metrics.learning_rate);
  }
  if (ranks_ != nullptr) {
    // Before anything is told or kept of it.
    absl::Status same = CheckSame(
        engine_->Weights(), FailureReason::kInternal,
        absl::StrCat("after epoch ", metrics.epoch, ": their processors compute differently"));
    if (!same.ok()) return same;
  }
  metrics.best =
      state_.best_epoch == 0 || IsBetter(options_, metrics, state_.history[state_.best_epoch - 1]);
  if (metrics.best) {
    state_.best_epoch = metrics.epoch;
    state_.best_weights = engine_->AveragedWeights();
  }
  state_.history.push_back(metrics);
  state_.total_seconds += metrics.seconds;
  state_.training_seconds += done.training_seconds;
  state_.images += done.images;
  observer_->OnEpoch(metrics);
  return BeginCheckpoint();
}

absl::Status Trainer::Impl::BeginCheckpoint() {
  if (checkpoints_.dir.empty()) return absl::OkStatus();
  if (absl::Status status = FinishCheckpoint(); !status.ok()) return status;
  TrainingState now = state_;
  now.weights = engine_->Weights();
  if (options_.average_decay > 0) now.average = engine_->AveragedWeights();
  now.optimizer_state = engine_->OptimizerState();
  writing_ = std::async(std::launch::async, [dir = checkpoints_.dir, state = std::move(now)] {
    return WriteCheckpoint(dir, state);
  });
  return absl::OkStatus();
}

absl::Status Trainer::Impl::ReportCheckpoint() {
  if (!writing_.valid() || writing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready)
    return absl::OkStatus();
  absl::StatusOr<CheckpointSaved> saved = writing_.get();
  if (!saved.ok()) return saved.status();
  observer_->OnCheckpoint(*saved);
  return absl::OkStatus();
}

absl::Status Trainer::Impl::FinishCheckpoint() {
  if (writing_.valid()) writing_.wait();
  return ReportCheckpoint();
}

absl::StatusOr<TrainingOutcome> Trainer::Impl::EndWith(TrainingOutcome::End end) {
  if (absl::Status status = FinishCheckpoint(); !status.ok()) return status;
  TrainingOutcome outcome;
  outcome.end = end;
  outcome.history = state_.history;
  outcome.best_epoch = state_.best_epoch;
  outcome.path = engine_->path();
  outcome.training_seconds = state_.total_seconds;
  if (state_.training_seconds > 0) {
    outcome.images_per_second = static_cast<double>(state_.images) / state_.training_seconds;
  }
  outcome.warnings = TrainingWarnings(options_.architecture, *dataset_, split_, outcome);
  return outcome;
}

absl::StatusOr<TrainingOutcome> Trainer::Impl::EndByError(const absl::Status& error) {
  if (ReasonOf(error) != FailureReason::kDiverged || state_.best_epoch == 0) return error;
  absl::StatusOr<TrainingOutcome> outcome = EndWith(TrainingOutcome::End::kDiverged);
  if (outcome.ok()) outcome->failure = error;
  return outcome;
}

absl::StatusOr<TrainedModel> Trainer::Impl::BestModel() const {
  if (state_.best_epoch == 0) {
    return absl::FailedPreconditionError("no epoch is finished, so there is no best model");
  }
  return TrainedModel{options_.architecture, state_.best_weights};
}

absl::StatusOr<std::optional<Bfloat16Validation>> Trainer::Impl::ValidateInBfloat16(
    const StopSignal* stop) const {
  const absl::StatusOr<TrainedModel> model = BestModel();
  if (!model.ok()) return model.status();
  const auto network = Compile(
      *model, {Precision::kBfloat16, Device::kCpu, options_.path_choice, FastestProductRounding()});
  if (network->precision() != Precision::kBfloat16) return std::nullopt;
  const absl::StatusOr<ValidationMetrics> validated = Validate(*network, stop);
  if (!validated.ok()) return validated.status();
  return Bfloat16Validation{validated->accuracy, network->product_rounding()};
}

absl::StatusOr<Calibration> Trainer::Impl::CalibrateBestModel(const StopSignal* stop) const {
  const absl::StatusOr<TrainedModel> model = BestModel();
  if (!model.ok()) return model.status();
  const auto network =
      Compile(*model, {Precision::kFloat32, options_.device, options_.path_choice});
  return Calibrate(*network, dataset_->training(), split_.validation, kValidationBatch,
                   engine_->team(), stop);
}

std::vector<uint8_t> Trainer::Impl::ValidationImages(int64_t most) const {
  const int64_t size = dataset_->shape().size();
  std::vector<uint8_t> pixels;
  for (size_t i = 0; i < split_.validation.size() && static_cast<int64_t>(i) < most; ++i) {
    const uint8_t* const image = dataset_->training().pixels.data() + split_.validation[i] * size;
    pixels.insert(pixels.end(), image, image + size);
  }
  return pixels;
}

Trainer::Trainer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Trainer::~Trainer() = default;

absl::StatusOr<std::unique_ptr<Trainer>> Trainer::Create(const TrainingOptions& options,
                                                         std::shared_ptr<const Dataset> dataset,
                                                         const CheckpointOptions& checkpoints,
                                                         const TrainedModel* start,
                                                         RankGroup* ranks) {
  return GuardExceptions("preparing the training",
                         [&]() -> absl::StatusOr<std::unique_ptr<Trainer>> {
                           if (absl::Status status = options.Validate(*dataset); !status.ok()) {
                             return status;
                           }
                           auto impl = std::make_unique<Impl>(options, dataset, checkpoints, ranks);
                           if (absl::Status status = impl->Prepare(start); !status.ok()) {
                             return status;
                           }
                           return std::unique_ptr<Trainer>(new Trainer(std::move(impl)));
                         });
}

const std::optional<ResumePoint>& Trainer::resumed() const { return impl_->resumed_; }

absl::StatusOr<TrainingOutcome> Trainer::Run(TrainingObserver* observer, const StopSignal* stop) {
  auto outcome = GuardExceptions("training", [&] { return impl_->Run(observer, stop); });
  if (outcome.ok()) return outcome;
  // The next run can go on from it.
  GuardExceptions("writing a checkpoint", [&] { return impl_->FinishCheckpoint(); }).IgnoreError();
  return outcome;
}

absl::StatusOr<TrainedModel> Trainer::BestModel() const { return impl_->BestModel(); }

absl::StatusOr<std::optional<Bfloat16Validation>> Trainer::ValidateInBfloat16(
    const StopSignal* stop) const {
  return GuardExceptions("validating in bfloat16", [&] { return impl_->ValidateInBfloat16(stop); });
}

absl::StatusOr<Calibration> Trainer::CalibrateBestModel(const StopSignal* stop) const {
  return GuardExceptions("calibrating", [&] { return impl_->CalibrateBestModel(stop); });
}

std::vector<uint8_t> Trainer::ValidationImages(int64_t most) const {
  return impl_->ValidationImages(most);
}

TrainedModel Trainer::CurrentModel() const { return impl_->CurrentModel(); }

StepProfile Trainer::profile() const { return impl_->Profile(); }

}  // namespace atelier::models
