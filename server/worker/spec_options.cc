#include "server/worker/spec_options.h"

#include <cstdint>
#include <utility>

#include "models/base/failure.h"

namespace atelier::worker {
namespace {

models::Precision PrecisionOf(atelier::v1::Precision precision) {
  switch (precision) {
    case atelier::v1::PRECISION_FLOAT32:
      return models::Precision::kFloat32;
    case atelier::v1::PRECISION_BFLOAT16:
      return models::Precision::kBfloat16;
    default:
      return models::AutoPrecision();
  }
}

absl::StatusOr<models::Architecture> ArchitectureOf(const atelier::v1::TrainingSpec& spec,
                                                    const models::Dataset& dataset) {
  // Jobs of version 0.1.0 have a preset alone.
  if (!spec.has_network()) {
    return models::Architecture::FromPreset(spec.preset(), dataset.shape(), dataset.classes(),
                                            spec.dropout());
  }
  models::Architecture architecture;
  architecture.network = spec.network();
  architecture.input = dataset.shape();
  architecture.classes = dataset.classes();
  architecture.dropout = spec.dropout();
  if (absl::Status status = architecture.Validate(); !status.ok()) return status;
  return architecture;
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
  options.epochs = spec.epochs();
  options.batch_size = spec.batch_size();
  options.patience = spec.patience();
  options.validation_fraction = spec.validation_fraction();
  options.seed = static_cast<std::uint64_t>(spec.seed());
  options.learning_rate = spec.learning_rate();
  if (spec.schedule() == atelier::v1::SCHEDULE_ONE_CYCLE) {
    options.schedule = models::Schedule::kOneCycle;
  }
  if (spec.has_warmup_fraction()) options.warmup_fraction = spec.warmup_fraction();
  options.augmentation = {spec.horizontal_flip(), spec.shift(), spec.erasing()};
  options.label_smoothing = spec.label_smoothing();
  options.weight_decay = spec.weight_decay();
  options.average_decay = spec.average_decay();
  // Jobs that an earlier server stored name none.
  if (spec.has_batch_norm_momentum()) options.batch_norm_momentum = spec.batch_norm_momentum();
  options.shards = spec.shards();
  options.threads = spec.cores();
  if (spec.device() == atelier::v1::DEVICE_CUDA) options.device = models::Device::kCuda;
  options.precision = PrecisionOf(spec.precision());
  return options;
}

}  // namespace atelier::worker
