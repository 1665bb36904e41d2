#include "models/network/training_options.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/base/failure.h"
#include "models/network/trained_model.h"

namespace atelier::models {
namespace {

// How much more the latest of the first steps count in the running statistics, while the weights
// change fast: at time t the share is (this + 1) / (t + this), so 1 in the first step, until it has
// fallen to the momentum.
constexpr double kStatisticsWarmup = 9;

// What one-cycle begins and ends near, as a share of the highest learning rate.
constexpr double kLowestRate = 0.01;

// Collects what is wrong, a phrase per field.
class Problems {
 public:
  // Written so that NaN is out of every range.
  template <typename T>
  void RequireRange(absl::string_view field, T value, bool within, absl::string_view range) {
    if (!within) list_.push_back(absl::StrCat(field, " is ", value, ", it must be ", range));
  }
  void Add(std::string problem) { list_.push_back(std::move(problem)); }

  absl::Status ToStatus() const {
    if (list_.empty()) return absl::OkStatus();
    return Failure(FailureReason::kInvalidSpec, absl::StrJoin(list_, "; "));
  }

 private:
  std::vector<std::string> list_;
};

void CheckSchedule(const TrainingOptions& options, const Dataset& dataset, Problems& problems) {
  const auto within = [](int64_t value, int64_t low, int64_t high) {
    return low <= value && value <= high;
  };
  problems.RequireRange("epochs", options.epochs, within(options.epochs, 1, 10000), "1 to 10000");
  problems.RequireRange("patience", options.patience, within(options.patience, 1, 10000),
                        "1 to 10000");
  problems.RequireRange("step_epochs", options.step_epochs, within(options.step_epochs, 1, 10000),
                        "1 to 10000");
  problems.RequireRange("shards", options.shards, within(options.shards, 1, 64), "1 to 64");
  problems.RequireRange("threads", options.threads, within(options.threads, 1, 64), "1 to 64");
  const double fraction = options.validation_fraction;
  const bool fraction_ok = dataset.validation_images() > 0 || (fraction >= 0.01 && fraction <= 0.5);
  problems.RequireRange("validation_fraction", fraction, fraction_ok, "0.01 to 0.5");
  if (!within(options.batch_size, 1, 65536)) {
    problems.RequireRange("batch_size", options.batch_size, false, "1 to 65536");
    return;
  }
  if (fraction_ok) {
    const int64_t left = dataset.training().size() - options.ValidationImages(dataset);
    problems.RequireRange(
        "batch_size", options.batch_size, options.batch_size <= left,
        absl::StrCat("at most the ", left, " images left for training after validation"));
  }
  if (options.shards >= 1 && options.batch_size % options.shards != 0) {
    problems.Add(absl::StrCat("shards is ", options.shards, ", it must divide the batch size of ",
                              options.batch_size));
  }
}

void CheckOptimizer(const TrainingOptions& options, Problems& problems) {
  const double rate = options.learning_rate;
  problems.RequireRange("learning_rate", rate, rate > 0 && rate <= 10, "above 0 and at most 10");
  const auto fraction = [&](absl::string_view field, double value) {
    problems.RequireRange(field, value, value >= 0 && value < 1, "at least 0 and below 1");
  };
  const auto inner_fraction = [&](absl::string_view field, double value) {
    problems.RequireRange(field, value, value > 0 && value < 1, "above 0 and below 1");
  };
  if (options.schedule == Schedule::kCosine) {
    fraction("warmup_fraction", options.warmup_fraction);
  } else {
    inner_fraction("warmup_fraction", options.warmup_fraction);
  }
  inner_fraction("step_factor", options.step_factor);
  fraction("momentum", options.momentum);
  if (options.nesterov && options.momentum == 0) {
    problems.Add("nesterov is true, but momentum is 0; give a momentum above 0");
  }
  fraction("label_smoothing", options.label_smoothing);
  fraction("average_decay", options.average_decay);
  const double decay = options.weight_decay;
  problems.RequireRange("weight_decay", decay, decay >= 0 && decay <= 1, "0 to 1");
  fraction("adam_beta1", options.adam_beta1);
  fraction("adam_beta2", options.adam_beta2);
  problems.RequireRange("adam_epsilon", options.adam_epsilon,
                        options.adam_epsilon > 0 && options.adam_epsilon <= 1,
                        "above 0 and at most 1");
  problems.RequireRange("batch_norm_momentum", options.batch_norm_momentum,
                        options.batch_norm_momentum > 0 && options.batch_norm_momentum <= 1,
                        "above 0 and at most 1");
}

// At least 0, and no larger than what anybody could mean.
void CheckNotNegative(absl::string_view field, double value, Problems& problems) {
  constexpr double kMost = 1e6;
  problems.RequireRange(field, value, value >= 0 && value <= kMost, "0 to 1000000");
}

void CheckClassWeights(const TrainingOptions& options, Problems& problems) {
  const std::vector<double>& weights = options.class_weights;
  if (weights.empty()) return;
  if (options.balance_classes) {
    problems.Add("class_weights are given and balance_classes is true; give one of the two");
  }
  if (static_cast<int64_t>(weights.size()) != options.architecture.classes) {
    problems.Add(absl::StrCat("class_weights has ", weights.size(), " numbers, it must have ",
                              options.architecture.classes, ", one for each class"));
  }
  for (const double weight : weights) CheckNotNegative("class_weights", weight, problems);
  if (*std::max_element(weights.begin(), weights.end()) == 0) {
    problems.Add("class_weights are all 0, at least one must be above 0");
  }
}

void CheckAugmentation(const TrainingOptions& options, Problems& problems) {
  const auto check = [&problems](absl::string_view field, auto value, auto most) {
    problems.RequireRange(field, value, value >= 0 && value <= most, absl::StrCat("0 to ", most));
  };
  const ImageShape& image = options.architecture.input;
  const Augmentation& augmentation = options.augmentation;
  check("shift", augmentation.shift, std::min<int64_t>({16, image.height - 1, image.width - 1}));
  check("erasing", augmentation.erasing, 1);
  check("random_resized_crop", augmentation.random_resized_crop, 1);
  check("rotation", augmentation.rotation, 180);
  check("color_jitter", augmentation.color_jitter, 1);
}

// Requires a valid network.
void CheckStart(const TrainingOptions& options, Problems& problems) {
  const int64_t start = options.schedule_start_epoch;
  problems.RequireRange("schedule_start_epoch", start, start >= 0 && start < options.epochs,
                        "at least 0 and below the epochs");
  if (options.freeze == 0 || !options.architecture.Validate().ok()) return;
  const int64_t most = WeightLayerCount(options.architecture) - 1;
  problems.RequireRange("freeze", options.freeze, options.freeze > 0 && options.freeze <= most,
                        absl::StrCat("0 to ", most));
}

void CheckNetwork(const TrainingOptions& options, const Dataset& dataset, Problems& problems) {
  const Architecture& network = options.architecture;
  if (absl::Status status = network.Validate(); !status.ok()) {
    problems.Add(std::string(status.message()));
    return;
  }
  if (options.optimizer == Optimizer::kMuon && !MuonProblem(network).empty()) {
    problems.Add(absl::StrCat("optimizer is muon: ", MuonProblem(network)));
  }
  if (network.input != dataset.shape() || network.classes != dataset.classes()) {
    const auto text = [](const ImageShape& s, int64_t classes) {
      return absl::StrCat(s.channels, "x", s.height, "x", s.width, " images of ", classes,
                          " classes");
    };
    problems.Add(absl::StrCat("the network is for ", text(network.input, network.classes),
                              ", the data set has ", text(dataset.shape(), dataset.classes())));
  }
}

}  // namespace

absl::string_view OptimizerName(Optimizer optimizer) {
  switch (optimizer) {
    case Optimizer::kAdamW:
      return "adamw";
    case Optimizer::kAdam:
      return "adam";
    case Optimizer::kSgd:
      return "sgd";
    case Optimizer::kRmsprop:
      return "rmsprop";
    case Optimizer::kMuon:
      return "muon";
  }
  return "";
}

std::vector<size_t> HiddenMatrices(const Architecture& architecture) {
  const std::vector<TensorSpec> specs = TensorSpecsOf(architecture);
  std::vector<size_t> matrices;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].trainable && specs[i].shape.size() >= 2) matrices.push_back(i);
  }
  if (matrices.size() <= 2) return {};
  return {matrices.begin() + 1, matrices.end() - 1};
}

std::string MuonProblem(const Architecture& architecture) {
  if (!HiddenMatrices(architecture).empty()) return "";
  return "muon is for weight matrices between the first layer and the output, and this network has "
         "none; use adamw";
}

absl::string_view ScheduleName(Schedule schedule) {
  switch (schedule) {
    case Schedule::kConstant:
      return "constant";
    case Schedule::kOneCycle:
      return "one-cycle";
    case Schedule::kCosine:
      return "cosine";
    case Schedule::kStep:
      return "step";
  }
  return "";
}

absl::string_view MonitorName(Monitor monitor) {
  switch (monitor) {
    case Monitor::kValidationLoss:
      return "validation-loss";
    case Monitor::kValidationAccuracy:
      return "validation-accuracy";
    case Monitor::kMacroF1:
      return "macro-f1";
  }
  return "";
}

int64_t AutoShards(int64_t threads, int64_t batch_size) {
  int64_t shards = std::clamp<int64_t>(threads, 1, 64);
  while (batch_size % shards != 0) --shards;
  return shards;
}

int64_t TrainingOptions::OptimizerVectors() const {
  switch (optimizer) {
    case Optimizer::kAdamW:
    case Optimizer::kAdam:
      return 2;
    case Optimizer::kSgd:
      return momentum > 0 ? 1 : 0;
    case Optimizer::kRmsprop:
      return momentum > 0 ? 2 : 1;
    case Optimizer::kMuon:
      return 3;
  }
  return 0;
}

double TrainingOptions::LearningRateAt(int64_t step, int64_t steps) const {
  if (schedule == Schedule::kConstant) return learning_rate;
  const int64_t steps_per_epoch = steps / epochs;
  const int64_t before = schedule_start_epoch * steps_per_epoch;
  step = std::max<int64_t>(step - before, 0);
  steps -= before;
  if (schedule == Schedule::kStep) {
    const int64_t epoch = step / steps_per_epoch;
    return learning_rate * std::pow(step_factor, static_cast<double>(epoch / step_epochs));
  }
  const double done = (static_cast<double>(step) + 0.5) / static_cast<double>(steps);
  const bool rises = done < warmup_fraction;
  if (schedule == Schedule::kCosine && !rises) {
    const double way = (done - warmup_fraction) / (1 - warmup_fraction);
    return learning_rate * (1 + std::cos(std::numbers::pi * way)) / 2;
  }
  const double share = rises ? done / warmup_fraction : (1 - done) / (1 - warmup_fraction);
  if (schedule == Schedule::kCosine) return learning_rate * share;
  return learning_rate * (kLowestRate + (1 - kLowestRate) * share);
}

double TrainingOptions::StatisticsShareAt(int64_t time, int64_t images,
                                          double norm_momentum) const {
  const double full = std::max(
      norm_momentum, (kStatisticsWarmup + 1) / (static_cast<double>(time) + kStatisticsWarmup));
  return full * static_cast<double>(images) / static_cast<double>(batch_size);
}

int64_t TrainingOptions::ValidationImages(const Dataset& dataset) const {
  if (dataset.validation_images() > 0) return dataset.validation_images();
  const auto images = static_cast<int64_t>(
      static_cast<double>(dataset.training().size()) * validation_fraction + 0.5);
  return std::max<int64_t>(images, 1);
}

absl::Status TrainingOptions::Validate(const Dataset& dataset) const {
  Problems problems;
  CheckNetwork(*this, dataset, problems);
  CheckSchedule(*this, dataset, problems);
  CheckOptimizer(*this, problems);
  CheckNotNegative("min_delta", min_delta, problems);
  CheckNotNegative("max_gradient_norm", max_gradient_norm, problems);
  CheckClassWeights(*this, problems);
  CheckAugmentation(*this, problems);
  CheckStart(*this, problems);
  if (device == Device::kCuda && !CudaAvailable()) {
    problems.Add("device is cuda, but LibTorch has no GPU here; use cpu");
  }
  if (precision == Precision::kBfloat16 && device == Device::kCpu && !Bfloat16Supported()) {
    problems.Add(
        "precision is bfloat16, for which this machine's processor lacks AVX-512 BF16 or AMX; use "
        "float32");
  }
  return problems.ToStatus();
}

}  // namespace atelier::models
