// What a training is told: network, schedule, optimiser, and how it uses the machine. The defaults
// are the study's recipe. Values; no LibTorch.
#ifndef ATELIER_MODELS_NETWORK_TRAINING_OPTIONS_H_
#define ATELIER_MODELS_NETWORK_TRAINING_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/data/augmentation.h"
#include "models/data/dataset.h"
#include "models/network/architecture.h"
#include "models/network/compute_path.h"
#include "models/network/device.h"
#include "models/network/precision.h"

namespace atelier::models {

// How many shards `auto` means for a job that was given so many threads: the largest number, at
// most `threads`, that divides the batch.
int64_t AutoShards(int64_t threads, int64_t batch_size);

// How the learning rate goes over a training.
enum class Schedule {
  // The same throughout.
  kConstant,
  // Up from nearly nothing for the first part of all steps, then down to nearly nothing.
  kOneCycle,
};

// `constant` or `one-cycle`.
absl::string_view ScheduleName(Schedule schedule);

struct TrainingOptions {
  Architecture architecture;

  // Epochs at most, 1 to 10,000.
  int64_t epochs = 20;
  // Images a step, 1 to 65,536 and at most the training split without its validation part. An
  // epoch's last batch holds what is left.
  int64_t batch_size = 128;
  // Epochs without a lower validation loss after which training stops, 1 to 10,000.
  int64_t patience = 5;
  // Fraction of the training images held back for validation, 0.01 to 0.5.
  double validation_fraction = 0.1;
  // Of every random choice: split, weights, order, augmentation, dropout.
  uint64_t seed = 0;

  // Adam. Range of the learning rate: above 0, at most 10. With a schedule it is the highest.
  double learning_rate = 1e-3;
  Schedule schedule = Schedule::kConstant;
  // One-cycle: the part of all steps in which the rate rises, above 0 and below 1.
  double warmup_fraction = 0.25;
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-7;
  // Share of a batch's statistics in the running ones, above 0 and at most 1 (LibTorch's meaning:
  // Keras' 0.99 is 0.01). The first steps' share is larger, see StatisticsShareAt.
  double batch_norm_momentum = 0.01;

  // Changes to the training images, none by default.
  Augmentation augmentation;
  // Share of the target that is spread evenly over all classes (Szegedy et al. 2016), 0 to below 1;
  // of what is minimised alone, the losses that are told are without it.
  double label_smoothing = 0;
  // Decoupled weight decay (AdamW, Loshchilov and Hutter 2019): every step takes this share, times
  // the learning rate, off all trainable numbers. 0 to 1.
  double weight_decay = 0;
  // Decay per step of the weights' exponential moving average, running statistics included; the
  // average is what is validated, kept and served. 0, for the weights as they are, to below 1. Step
  // t, from 1, uses at most t / (t + 9), so that the first weights do not linger.
  double average_decay = 0;

  Precision precision = Precision::kFloat32;
  Device device = Device::kCpu;
  // kLibTorch is for tests and measurements.
  PathChoice path_choice = PathChoice::kAutomatic;
  // Pieces every batch is split into, as even as possible; batch norm sees one piece. Part of the
  // specification: results depend on it. Must divide batch_size, 1 to 64.
  int64_t shards = 1;
  // Shards that run at once, 1 to 64; results do not depend on it. More than `shards` help only
  // evaluation.
  int64_t threads = 1;

  // The learning rate of a step, counted from 0, when `steps` are all steps of all epochs.
  double LearningRateAt(int64_t step, int64_t steps) const;

  // The share that the statistics of a step with so many images have in the running ones of a layer
  // with that momentum, at a time that counts steps from 1.
  double StatisticsShareAt(int64_t time, int64_t images, double momentum) const;

  // How many of so many training images are held back for validation; at least 1.
  int64_t ValidationImages(int64_t training_images) const;

  // FailureReason kInvalidSpec, naming every wrong field with its value and range, if a field is
  // out of range, does not fit the data set, or asks for what this machine has not.
  absl::Status Validate(const Dataset& dataset) const;

  // A text of everything the weights depend on (so not `threads`); a checkpoint is continued only
  // under the same.
  std::string Fingerprint(const Dataset& dataset) const;
};

// The fingerprint's field that names how this version splits data and trains, where that is no
// option. It changes whenever the same options would give other weights.
inline constexpr char kMethodField[] = "method";

// The names of what differs between two fingerprints, as Fingerprint calls them; `dataset` is the
// data set's checksum. Empty if one of them is no fingerprint.
std::vector<std::string> FingerprintDifferences(const std::string& one, const std::string& other);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_TRAINING_OPTIONS_H_
