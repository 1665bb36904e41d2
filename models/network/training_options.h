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
#include "models/network/training_start.h"

namespace atelier::models {

// How many shards `auto` means for a job that was given so many threads: the largest number, at
// most `threads`, that divides the batch.
int64_t AutoShards(int64_t threads, int64_t batch_size);

// By what rule a step changes the weights.
enum class Optimizer {
  // Adam with decoupled weight decay (Loshchilov and Hutter 2019).
  kAdamW,
  // Adam (Kingma and Ba 2015); weight decay is added to the gradient (L2), as for kSgd and
  // kRmsprop.
  kAdam,
  // Stochastic gradient descent, with momentum.
  kSgd,
  kRmsprop,
  // Muon (Jordan et al. 2024) for the HiddenMatrices, kAdamW for everything else. A matrix' step is
  // 0.2 · sqrt(its longer side) times the orthogonalised momentum (Liu et al. 2025): as large as a
  // step of Adam, so that one learning rate and weight decay suit both.
  kMuon,
};

// `adamw`, `adam`, `sgd`, `rmsprop` or `muon`.
absl::string_view OptimizerName(Optimizer optimizer);

// The weights that Muon orthogonalises, as indices into TensorSpecsOf: all of two dimensions or
// more (a convolution's is filters × rest), but for the first layer's and the output's.
std::vector<size_t> HiddenMatrices(const Architecture& architecture);

// Why Muon cannot train the network, without a full stop; empty if it can.
std::string MuonProblem(const Architecture& architecture);

// How the learning rate goes over a training.
enum class Schedule {
  // The same throughout.
  kConstant,
  // Up from nearly nothing for the first part of all steps, then down to nearly nothing.
  kOneCycle,
  // Up from nearly nothing for the first part of all steps, then down along half a cosine
  // (Loshchilov and Hutter 2017).
  kCosine,
  // Multiplied by a factor after every so many epochs.
  kStep,
};

// `constant`, `one-cycle`, `cosine` or `step`.
absl::string_view ScheduleName(Schedule schedule);

// What decides which epoch is the best, and so when training stops early.
enum class Monitor { kValidationLoss, kValidationAccuracy, kMacroF1 };

// `validation-loss`, `validation-accuracy` or `macro-f1`.
absl::string_view MonitorName(Monitor monitor);

struct TrainingOptions {
  Architecture architecture;

  // Epochs at most, 1 to 10,000.
  int64_t epochs = 20;
  // Images a step, 1 to 65,536 and at most the training split without its validation part. An
  // epoch's last batch holds what is left.
  int64_t batch_size = 128;
  // Epochs without a better one after which training stops, 1 to 10,000.
  int64_t patience = 5;
  // An epoch is better if what is monitored is by more than this, at least 0.
  Monitor monitor = Monitor::kValidationLoss;
  double min_delta = 0;
  // Fraction of the training images held back for validation, 0.01 to 0.5.
  double validation_fraction = 0.1;
  // Of every random choice: split, weights, order, augmentation, dropout.
  uint64_t seed = 0;

  Optimizer optimizer = Optimizer::kAdamW;
  // Above 0, at most 10. With a schedule it is the highest.
  double learning_rate = 1e-3;
  Schedule schedule = Schedule::kConstant;
  // The part of all steps in which the rate rises: one-cycle above 0, cosine at least 0, below 1.
  double warmup_fraction = 0.25;
  // Step: the rate is multiplied by the factor, above 0 and below 1, after every so many epochs, 1
  // to 10,000.
  double step_factor = 0.1;
  int64_t step_epochs = 10;
  // Epochs before the schedule began, of which it knows nothing; 0 to below epochs.
  int64_t schedule_start_epoch = 0;
  // SGD, RMSprop, Muon: 0 to below 1. Nesterov's: SGD and Muon, wants momentum.
  double momentum = 0;
  bool nesterov = false;
  // Adam's, AdamW's and Muon's; RMSprop has the second (PyTorch's alpha) and the third.
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_epsilon = 1e-7;
  // Gradients of a larger norm, over all parameters, are scaled down to it, as PyTorch's
  // clip_grad_norm_ does; at least 0, which leaves them alone.
  double max_gradient_norm = 0;
  // Share of a batch's statistics in the running ones, above 0 and at most 1 (LibTorch's meaning:
  // Keras' 0.99 is 0.01). The first steps' share is larger, see StatisticsShareAt.
  double batch_norm_momentum = 0.01;

  // Changes to the training images, none by default.
  Augmentation augmentation;
  // Share of the target that is spread evenly over all classes (Szegedy et al. 2016), 0 to below 1;
  // of what is minimised alone, the losses that are told are without it.
  double label_smoothing = 0;
  // How much the images of each class count in what is minimised, one number a class, at least 0
  // and not all 0; empty: all the same. A batch's loss is divided by its images' weights, and label
  // smoothing counts the weights of all classes, as PyTorch's CrossEntropyLoss does. The losses
  // that are told are without them.
  std::vector<double> class_weights;
  // Weights by the images to train on, that a class has n of N: N / (classes · n), without images
  // 0.
  bool balance_classes = false;
  // Every step takes this share, times the learning rate, off all trainable numbers (AdamW, Muon),
  // or adds it times the number to the gradient (the others). 0 to 1.
  double weight_decay = 0;
  // Decay per step of the weights' exponential moving average, running statistics included; the
  // average is what is validated, kept and served. 0, for the weights as they are, to below 1. Step
  // t, from 1, uses at most t / (t + 9), so that the first weights do not linger.
  double average_decay = 0;

  // What it begins with and, in `frozen_layers`, what FrozenLayers says of `freeze`.
  TrainingStart start;
  // How many convolutions and dense layers are not trained, see FrozenLayers; 0 to one fewer than
  // there are.
  int64_t freeze = 0;

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

  // Numbers for each parameter that the optimiser remembers from step to step.
  int64_t OptimizerVectors() const;

  // The learning rate of a step, counted from 0, when `steps` are all steps of all epochs, those
  // before the schedule included.
  double LearningRateAt(int64_t step, int64_t steps) const;

  // The share that the statistics of a step with so many images have in the running ones of a
  // batch norm with that momentum, at a time that counts steps from 1.
  double StatisticsShareAt(int64_t time, int64_t images, double norm_momentum) const;

  // How many of a data set's training images are for validation: those of its own validation split,
  // or validation_fraction of them, at least 1.
  int64_t ValidationImages(const Dataset& dataset) const;

  // FailureReason kInvalidSpec, naming every wrong field with its value and range, if a field is
  // out of range, does not fit the data set, or asks for what this machine has not.
  absl::Status Validate(const Dataset& dataset) const;

  // A text of everything the weights depend on (so not `threads`), and what is kept of them; a
  // checkpoint is resumed only under the same.
  std::string Fingerprint(const Dataset& dataset) const;
};

// The fingerprint's field that names how this version splits data and trains, where that is no
// option. It changes whenever the same options would give other weights.
inline constexpr char kMethodField[] = "method";

// The names of what differs between two fingerprints, as Fingerprint calls them; `dataset` is the
// data set's checksum. Empty if one of them is no fingerprint.
std::vector<std::string> FingerprintDifferences(const std::string& one, const std::string& other);

// The names of what differs between two fingerprints beyond what a training that continues another
// may change: epochs, patience, schedule, freezing.
std::vector<std::string> FixedDifferences(const std::string& one, const std::string& other);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_TRAINING_OPTIONS_H_
