#include "server/worker/job_run.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "google/protobuf/util/time_util.h"
#include "models/archive/export_check.h"
#include "models/archive/model_archive.h"
#include "models/base/failure.h"
#include "models/data/dataset.h"
#include "models/training/evaluation.h"
#include "models/training/trainer.h"
#include "server/base/proc_file.h"
#include "server/worker/assigned_dataset.h"
#include "server/worker/failure_event.h"
#include "server/worker/import_run.h"
#include "server/worker/memory_limit.h"
#include "server/worker/outcome_event.h"
#include "server/worker/scoring_run.h"
#include "server/worker/spec_options.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

using google::protobuf::util::TimeUtil;

constexpr char kArchive[] = "model.tar.gz";
// Validation images that the stored files have to classify as the network does.
constexpr std::int64_t kCheckedImages = 16;
constexpr std::chrono::milliseconds kStepInterval(100);

v1::WorkerEvent SuspendedEvent() {
  v1::WorkerEvent event;
  event.mutable_suspended();
  return event;
}

v1::WorkerEvent EpochEvent(const models::EpochMetrics& metrics) {
  v1::WorkerEvent event;
  atelier::v1::EpochMetrics* epoch = event.mutable_epoch();
  epoch->set_epoch(static_cast<std::int32_t>(metrics.epoch));
  epoch->set_training_loss(metrics.training_loss);
  epoch->set_training_accuracy(metrics.training_accuracy);
  epoch->set_validation_loss(metrics.validation_loss);
  epoch->set_validation_accuracy(metrics.validation_accuracy);
  epoch->set_validation_macro_f1(metrics.validation_macro_f1);
  epoch->set_learning_rate(metrics.learning_rate);
  epoch->set_seconds(metrics.seconds);
  epoch->set_images_per_second(metrics.images_per_second);
  epoch->set_best(metrics.best);
  return event;
}

absl::Status CheckArchive(const models::TrainedModel& model, const std::string& path,
                          const std::vector<std::uint8_t>& images) {
  const auto differences = models::CheckExports(model, path, images);
  if (!differences.ok()) return differences.status();
  spdlog::info(
      "the archive answers validation images as the network does: probabilities of model.pt differ "
      "by {:.1e} at most, those of model.onnx by {:.1e} from model.pt",
      differences->torchscript, differences->onnx);
  return absl::OkStatus();
}

// The model to take weights from; empty if there is none.
absl::StatusOr<std::optional<models::TrainedModel>> ReadStart(const v1::Assignment& assignment) {
  if (assignment.start_archive().empty()) return std::optional<models::TrainedModel>();
  const auto archive =
      models::ReadModelArchive(assignment.start_archive(), assignment.start().sha256());
  if (!archive.ok()) return archive.status();
  auto model = models::TrainedModelOf(*archive);
  if (!model.ok()) return model.status();
  spdlog::info("starts from {}: layers {} are taken", assignment.start().model_version(),
               absl::StrJoin(assignment.start().taken_layers(), ", "));
  return std::optional(*std::move(model));
}

// Where the training may begin, and where it leaves its checkpoints, if it does.
models::CheckpointOptions CheckpointsOf(const v1::Assignment& assignment, bool writes) {
  models::CheckpointOptions checkpoints;
  if (writes) checkpoints.dir = assignment.attempt_dir();
  checkpoints.resume_from = {assignment.attempt_dir()};
  for (const std::string& dir : assignment.earlier_attempt_dirs()) {
    checkpoints.resume_from.push_back(dir);
  }
  checkpoints.continue_from = assignment.continued_dir();
  return checkpoints;
}

// Data and options of a training.
struct Prepared {
  std::shared_ptr<const models::Dataset> dataset;
  models::TrainingOptions options;
};

absl::StatusOr<Prepared> PrepareTraining(const v1::Assignment& assignment,
                                         const models::StopSignal* stop) {
  auto dataset = LoadDataset(assignment, stop);
  if (!dataset.ok()) return dataset.status();
  auto options = OptionsOf(assignment.spec(), **dataset);
  if (!options.ok()) return options.status();
  if (assignment.has_start()) options->start = StartOf(assignment.start());
  return Prepared{*std::move(dataset), *std::move(options)};
}

absl::StatusOr<std::unique_ptr<models::Trainer>> MakeTrainer(const v1::Assignment& assignment,
                                                             const Prepared& prepared,
                                                             models::RankGroup* ranks) {
  const auto start = ReadStart(assignment);
  if (!start.ok()) return start.status();
  const bool writes = ranks == nullptr || ranks->rank() == 0;
  return models::Trainer::Create(prepared.options, prepared.dataset,
                                 CheckpointsOf(assignment, writes),
                                 start->has_value() ? &**start : nullptr, ranks);
}

// Tells the trainer's progress as events; steps at most ten times a second.
class EventObserver final : public models::TrainingObserver {
 public:
  EventObserver(const std::function<void(v1::WorkerEvent)>& report, std::int64_t batch_size)
      : report_(report), batch_size_(batch_size) {}

  void OnStep(const models::StepProgress& progress) override {
    const auto now = std::chrono::steady_clock::now();
    if (!last_step_.has_value()) {
      spdlog::info("first step {:.2f} s after the process began",
                   absl::ToDoubleSeconds(ProcessAge()));
    }
    if (last_step_.has_value() && now - *last_step_ < kStepInterval) return;
    last_step_ = now;
    v1::WorkerEvent event;
    atelier::v1::Progress* step = event.mutable_step();
    step->set_epoch(static_cast<std::int32_t>(progress.epoch));
    step->set_epochs(static_cast<std::int32_t>(progress.epochs));
    step->set_step(static_cast<std::int32_t>(progress.step));
    step->set_steps_per_epoch(static_cast<std::int32_t>(progress.steps_per_epoch));
    step->set_training_loss(progress.training_loss);
    step->set_training_accuracy(progress.training_accuracy);
    step->set_images_per_second(progress.images_per_second);
    if (progress.images_per_second > 0) {
      const std::int64_t steps = (progress.epochs - progress.epoch) * progress.steps_per_epoch +
                                 progress.steps_per_epoch - progress.step;
      const double seconds = static_cast<double>(steps * batch_size_) / progress.images_per_second;
      *step->mutable_time_left() =
          TimeUtil::MillisecondsToDuration(static_cast<std::int64_t>(seconds * 1000));
    }
    report_(std::move(event));
  }

  void OnEpoch(const models::EpochMetrics& metrics) override {
    spdlog::info(
        "epoch {}: training loss {:.4f}, accuracy {:.4f}; validation loss {:.4f}, accuracy {:.4f}; "
        "{:.1f} s, {:.0f} images/s",
        metrics.epoch, metrics.training_loss, metrics.training_accuracy, metrics.validation_loss,
        metrics.validation_accuracy, metrics.seconds, metrics.images_per_second);
    report_(EpochEvent(metrics));
  }

  void OnCheckpoint(const models::CheckpointSaved& checkpoint) override {
    spdlog::info("checkpoint {} ({})", checkpoint.path, FormatBytes(checkpoint.size_bytes));
    v1::WorkerEvent event;
    event.mutable_checkpoint()->set_epoch(static_cast<std::int32_t>(checkpoint.epoch));
    event.mutable_checkpoint()->set_global_step(checkpoint.global_step);
    event.mutable_checkpoint()->set_size_bytes(checkpoint.size_bytes);
    report_(std::move(event));
  }

  void OnEarlyStop(std::int64_t epoch, std::int64_t best_epoch) override {
    spdlog::info("stopped early after epoch {}; epoch {} was the best", epoch, best_epoch);
    v1::WorkerEvent event;
    event.mutable_early_stop()->set_epoch(static_cast<std::int32_t>(epoch));
    event.mutable_early_stop()->set_best_epoch(static_cast<std::int32_t>(best_epoch));
    report_(std::move(event));
  }

 private:
  const std::function<void(v1::WorkerEvent)>& report_;
  const std::int64_t batch_size_;
  std::optional<std::chrono::steady_clock::time_point> last_step_;
};

}  // namespace

absl::Status JobRun::Run(const v1::Assignment& assignment, models::RankGroup* ranks) {
  ranks_ = ranks;
  absl::StatusOr<v1::WorkerEvent> last = Work(assignment);
  if (last.ok()) {
    report_(*std::move(last));
    return absl::OkStatus();
  }
  const models::FailureReason reason = models::ReasonOf(last.status());
  if (reason == models::FailureReason::kRankLost) return last.status();
  if (reason == models::FailureReason::kCancelled) {
    spdlog::info("suspended");
    report_(SuspendedEvent());
    return absl::OkStatus();
  }
  v1::WorkerEvent failure = FailureEvent(last.status(), assignment);
  spdlog::error("failed, {}: {}", failure.failure().reason(), failure.failure().message());
  report_(std::move(failure));
  return absl::OkStatus();
}

absl::StatusOr<v1::WorkerEvent> JobRun::Work(const v1::Assignment& assignment) {
  if (assignment.has_import()) {
    ReportPhase(v1::PHASE_IMPORTING);
    return AllOrNothing(RunImport(assignment, &training_stop_, report_));
  }
  if (assignment.has_evaluation()) {
    return AllOrNothing(RunEvaluation(assignment, &training_stop_, report_));
  }
  if (assignment.has_check()) {
    return AllOrNothing(RunCheck(assignment, &training_stop_, report_));
  }
  return TrainAndStore(assignment);
}

absl::StatusOr<v1::WorkerEvent> JobRun::AllOrNothing(absl::StatusOr<v1::WorkerEvent> last) const {
  if (last.ok() || training_stop_.Get() != models::StopRequest::kStop) return last;
  spdlog::info("stopped before it was complete");
  v1::WorkerEvent stopped;
  stopped.mutable_stopped_empty();
  return stopped;
}

void JobRun::ReportPhase(v1::Phase phase) { report_(PhaseEvent(phase)); }

absl::StatusOr<v1::WorkerEvent> JobRun::TrainAndStore(const v1::Assignment& assignment) {
  ReportPhase(v1::PHASE_PREPARING);
  // Ranks end together, once they train: one that is to end because another was lost must not say
  // that it was suspended.
  const auto prepared = PrepareTraining(assignment, ranks_ == nullptr ? &suspend_ : nullptr);
  if (!prepared.ok()) return prepared.status();
  const auto trainer = MakeTrainer(assignment, *prepared, ranks_);
  if (!trainer.ok()) return trainer.status();
  const auto training = Train(assignment, prepared->options, trainer->get());
  if (!training.ok()) return training.status();
  if (!training->model.has_value()) {
    spdlog::info("stopped before the first epoch was complete");
    v1::WorkerEvent event;
    event.mutable_stopped_empty();
    return event;
  }
  return Finish(assignment, prepared->options, *training, *prepared->dataset);
}

absl::StatusOr<v1::WorkerEvent> JobRun::Finish(const v1::Assignment& assignment,
                                               const models::TrainingOptions& options,
                                               const Training& training,
                                               const models::Dataset& dataset) {
  ReportPhase(v1::PHASE_EVALUATING);
  models::EvaluationOptions evaluation_options;
  evaluation_options.threads = options.threads;
  evaluation_options.device = options.device;
  evaluation_options.temperature = training.outcome.calibration->temperature;
  const auto evaluation = models::Evaluate(*training.model, dataset, models::SplitName::kTest,
                                           evaluation_options, &suspend_);
  if (!evaluation.ok()) return evaluation.status();
  spdlog::info("test loss {:.4f}, accuracy {:.4f}; calibration error {:.4f}, calibrated {:.4f}",
               evaluation->loss, evaluation->accuracy, evaluation->reliability.ece,
               evaluation->calibrated->ece);

  ReportPhase(v1::PHASE_STORING);
  const models::ArchiveContents contents = {.model = *training.model,
                                            .class_names = dataset.class_names(),
                                            .options = options,
                                            .outcome = training.outcome,
                                            .evaluation = *evaluation,
                                            .dataset_name = assignment.spec().dataset(),
                                            .dataset_checksum = dataset.checksum(),
                                            .job = assignment.job_name(),
                                            .software_version = ATELIER_VERSION};
  const std::string path = absl::StrCat(assignment.attempt_dir(), "/", kArchive);
  const auto archive = models::WriteModelArchive(path, contents);
  if (!archive.ok()) return archive.status();
  spdlog::info("archive of {}, SHA-256 {}", FormatBytes(archive->size_bytes), archive->sha256);
  if (absl::Status status = CheckArchive(*training.model, path, training.validation_images);
      !status.ok()) {
    return status;
  }
  v1::WorkerEvent event = OutcomeEvent(contents, kArchive, *archive, dataset);
  if (!training.outcome.failure.ok()) {
    *event.mutable_outcome()->mutable_failure() = FailureOf(training.outcome.failure);
  }
  return event;
}

absl::StatusOr<JobRun::Training> JobRun::Train(const v1::Assignment& assignment,
                                               const models::TrainingOptions& options,
                                               models::Trainer* trainer) {
  ReportPhase(v1::PHASE_TRAINING);
  if (trainer->resumed().has_value()) {
    ReportResumed(*trainer->resumed(), assignment.recorded_epoch());
  }
  EventObserver observer(report_, options.batch_size);
  auto outcome = trainer->Run(&observer, &training_stop_);
  if (!outcome.ok()) return outcome.status();
  if (outcome->end == models::TrainingOutcome::End::kSuspended) {
    return models::Failure(models::FailureReason::kCancelled, "suspended");
  }
  Training training{*std::move(outcome)};
  if (training.outcome.history.empty()) return training;
  auto model = trainer->BestModel();
  if (!model.ok()) return model.status();
  training.model = *std::move(model);
  training.validation_images = trainer->ValidationImages(kCheckedImages);
  if (!training.outcome.failure.ok()) {
    spdlog::error("{} The best epoch, {}, is evaluated and stored.",
                  Sentence(training.outcome.failure.message()), training.outcome.best_epoch);
  }
  if (absl::Status measured = MeasureBestModel(assignment.spec(), *trainer, &training.outcome);
      !measured.ok()) {
    return measured;
  }
  for (const std::string& warning : training.outcome.warnings) spdlog::warn("{}", warning);
  return training;
}

absl::Status JobRun::MeasureBestModel(const atelier::v1::TrainingSpec& spec,
                                      const models::Trainer& trainer,
                                      models::TrainingOutcome* outcome) {
  const auto calibration = trainer.CalibrateBestModel(&suspend_);
  if (!calibration.ok()) return calibration.status();
  outcome->calibration = *calibration;
  spdlog::info("temperature {:.4f}; validation calibration error {:.4f}, calibrated {:.4f}",
               calibration->temperature, calibration->validation_ece,
               calibration->calibrated_validation_ece);
  if (std::string warning = models::TemperatureWarning(calibration->temperature);
      !warning.empty()) {
    outcome->warnings.push_back(std::move(warning));
  }
  if (spec.serving_precision() != atelier::v1::PRECISION_BFLOAT16) return absl::OkStatus();
  const auto validation = trainer.ValidateInBfloat16(&suspend_);
  if (!validation.ok()) return validation.status();
  outcome->bfloat16_validation = *validation;
  if (validation->has_value()) {
    spdlog::info(
        "validation accuracy with {} in bfloat16 {:.4f}",
        (*validation)->product_rounding != models::ProductRounding::kNone ? "products" : "weights",
        (*validation)->accuracy);
  } else {
    spdlog::info(
        "served in float32: LibTorch, which computes this network, keeps no weights in bfloat16");
  }
  return absl::OkStatus();
}

void JobRun::ReportResumed(const models::ResumePoint& point, std::int64_t recorded_epoch) {
  spdlog::info("continues after epoch {}, step {}", point.epoch, point.step);
  v1::WorkerEvent event;
  event.mutable_resumed()->set_epoch(static_cast<std::int32_t>(point.epoch));
  event.mutable_resumed()->set_global_step(point.global_step);
  event.mutable_resumed()->set_step(static_cast<std::int32_t>(point.step));
  report_(std::move(event));
  for (const models::EpochMetrics& metrics : point.history) {
    if (metrics.epoch > recorded_epoch) report_(EpochEvent(metrics));
  }
}

absl::Status TrainAsFurtherRank(const v1::Assignment& assignment, models::RankGroup* ranks,
                                const models::StopSignal* stop) {
  const auto prepared = PrepareTraining(assignment, stop);
  if (!prepared.ok()) return prepared.status();
  const auto trainer = MakeTrainer(assignment, *prepared, ranks);
  if (!trainer.ok()) return trainer.status();
  return (*trainer)->Run(nullptr, stop).status();
}

}  // namespace atelier::worker
