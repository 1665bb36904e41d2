#include "server/worker/spec_options.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "models/base/failure.h"
#include "models/network/standardization.h"

namespace atelier::worker {
namespace {

models::Precision PrecisionOf(atelier::v1::Precision precision) {
  switch (precision) {
    case atelier::v1::PRECISION_FLOAT32:
      return models::Precision::kFloat32;
    case atelier::v1::PRECISION_BFLOAT16:
      return models::Precision::kBfloat16;
    default:
      return models::Precision::kFloat32;
  }
}

absl::StatusOr<models::Architecture> ArchitectureOf(const atelier::v1::TrainingSpec& spec,
                                                    const models::Dataset& dataset) {
  // Jobs of version 0.1.0 have a preset alone.
  if (!spec.has_network()) {
    return models::Architecture::FromPreset(spec.preset(), dataset.shape(), dataset.classes(),
                                            spec.dropout());
  }
  models::Architecture architecture{spec.network(), dataset.shape(), dataset.classes(),
                                    spec.dropout()};
  if (absl::Status status = architecture.Validate(); !status.ok()) return status;
  return architecture;
}

models::Schedule ScheduleOf(atelier::v1::Schedule schedule) {
  switch (schedule) {
    case atelier::v1::SCHEDULE_ONE_CYCLE:
      return models::Schedule::kOneCycle;
    case atelier::v1::SCHEDULE_COSINE:
      return models::Schedule::kCosine;
    case atelier::v1::SCHEDULE_STEP:
      return models::Schedule::kStep;
    default:
      return models::Schedule::kConstant;
  }
}

// Jobs that an earlier server stored name none, which was AdamW.
models::Optimizer OptimizerOf(atelier::v1::Optimizer optimizer) {
  switch (optimizer) {
    case atelier::v1::OPTIMIZER_ADAM:
      return models::Optimizer::kAdam;
    case atelier::v1::OPTIMIZER_SGD:
      return models::Optimizer::kSgd;
    case atelier::v1::OPTIMIZER_RMSPROP:
      return models::Optimizer::kRmsprop;
    case atelier::v1::OPTIMIZER_MUON:
      return models::Optimizer::kMuon;
    default:
      return models::Optimizer::kAdamW;
  }
}

models::Monitor MonitorOf(atelier::v1::Monitor monitor) {
  switch (monitor) {
    case atelier::v1::MONITOR_VALIDATION_ACCURACY:
      return models::Monitor::kValidationAccuracy;
    case atelier::v1::MONITOR_MACRO_F1:
      return models::Monitor::kMacroF1;
    default:
      return models::Monitor::kValidationLoss;
  }
}

// Fields that are absent because the optimiser or the schedule has no use for them keep the
// trainer's defaults.
void SetOptimizer(const atelier::v1::TrainingSpec& spec, models::TrainingOptions& options) {
  options.optimizer = OptimizerOf(spec.optimizer());
  options.learning_rate = spec.learning_rate();
  options.schedule = ScheduleOf(spec.schedule());
  if (spec.has_warmup_fraction()) options.warmup_fraction = spec.warmup_fraction();
  if (spec.has_step_factor()) options.step_factor = spec.step_factor();
  if (spec.has_step_epochs()) options.step_epochs = spec.step_epochs();
  options.schedule_start_epoch = spec.schedule_start_epoch();
  options.momentum = spec.momentum();
  options.nesterov = spec.nesterov();
  if (spec.has_beta1()) options.adam_beta1 = spec.beta1();
  if (spec.has_beta2()) options.adam_beta2 = spec.beta2();
  if (spec.has_epsilon()) options.adam_epsilon = spec.epsilon();
  options.weight_decay = spec.weight_decay();
  options.max_gradient_norm = spec.max_gradient_norm();
}

absl::Status SetClassWeights(const std::string& weights, models::TrainingOptions& options) {
  options.balance_classes = weights == "balanced";
  if (weights.empty() || weights == "none" || options.balance_classes) return absl::OkStatus();
  for (const absl::string_view text : absl::StrSplit(weights, ':')) {
    double weight = 0;
    if (!absl::SimpleAtod(text, &weight)) {
      return models::Failure(
          models::FailureReason::kInvalidSpec,
          absl::StrCat("class_weights is '", weights,
                       "', it must be none, balanced or a number for each class, as 1:1:2"));
    }
    options.class_weights.push_back(weight);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<models::TrainingOptions> OptionsOf(const atelier::v1::TrainingSpec& spec,
                                                  const models::Dataset& dataset) {
  auto architecture = ArchitectureOf(spec, dataset);
  if (!architecture.ok()) {
    return models::Failure(models::FailureReason::kInvalidSpec, architecture.status().message());
  }
  models::TrainingOptions options;
  options.architecture = *std::move(architecture);
  if (atelier::v1::Network& network = options.architecture.network;
      spec.standardize() && !network.has_standardization()) {
    *network.mutable_standardization() = models::StandardizationOf(dataset);
  }
  options.epochs = spec.epochs();
  options.batch_size = spec.batch_size();
  options.patience = spec.patience();
  options.validation_fraction = dataset.validation_images() == 0
                                    ? spec.validation_fraction()
                                    : static_cast<double>(dataset.validation_images()) /
                                          static_cast<double>(dataset.training().size());
  options.seed = static_cast<std::uint64_t>(spec.seed());
  options.monitor = MonitorOf(spec.monitor());
  options.min_delta = spec.min_delta();
  SetOptimizer(spec, options);
  if (absl::Status status = SetClassWeights(spec.class_weights(), options); !status.ok()) {
    return status;
  }
  options.augmentation = {.random_resized_crop = spec.random_resized_crop(),
                          .rotation = spec.rotation(),
                          .horizontal_flip = spec.horizontal_flip(),
                          .shift = spec.shift(),
                          .color_jitter = spec.color_jitter(),
                          .erasing = spec.erasing()};
  options.label_smoothing = spec.label_smoothing();
  options.average_decay = spec.average_decay();
  // Jobs that an earlier server stored name none.
  if (spec.has_batch_norm_momentum()) options.batch_norm_momentum = spec.batch_norm_momentum();
  options.freeze = spec.freeze();
  options.start.model_version = spec.start_from();
  options.start.continued_job = spec.continues();
  options.shards = spec.shards();
  options.threads = spec.cores();
  if (spec.device() == atelier::v1::DEVICE_CUDA) options.device = models::Device::kCuda;
  options.precision = PrecisionOf(spec.precision());
  return options;
}

models::TrainingStart StartOf(const atelier::v1::TrainingStart& start) {
  const auto names = [](const auto& list) {
    return std::vector<std::string>(list.begin(), list.end());
  };
  return {.model_version = start.model_version(),
          .sha256 = start.sha256(),
          .taken_layers = names(start.taken_layers()),
          .new_layers = names(start.new_layers()),
          .frozen_layers = names(start.frozen_layers()),
          .continued_job = start.continued_job(),
          .continued_epochs = start.continued_epochs()};
}

}  // namespace atelier::worker
