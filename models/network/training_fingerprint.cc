// TrainingOptions: what of them, and of the data, decides the weights.
#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "models/network/training_options.h"

namespace atelier::models {
namespace {

// 2: validation images by class, running statistics without what they begin with.
constexpr int kMethod = 2;

// What came after the method's number: only what is not the default, so that checkpoints from
// before are continued.
void AddLater(const TrainingOptions& options, nlohmann::ordered_json& all) {
  const TrainingOptions defaults;
  const auto add = [&](const char* name, const auto& value, const auto& usual) {
    if (value != usual) all[name] = value;
  };
  const auto add_name = [&](const char* field, absl::string_view name, absl::string_view usual) {
    if (name != usual) all[field] = std::string(name);
  };
  add_name("optimizer", OptimizerName(options.optimizer), OptimizerName(defaults.optimizer));
  add("momentum", options.momentum, defaults.momentum);
  add("nesterov", options.nesterov, defaults.nesterov);
  add("step_factor", options.step_factor, defaults.step_factor);
  add("step_epochs", options.step_epochs, defaults.step_epochs);
  add("max_gradient_norm", options.max_gradient_norm, defaults.max_gradient_norm);
  add("class_weights", options.class_weights, defaults.class_weights);
  add("balance_classes", options.balance_classes, defaults.balance_classes);
  add_name("monitor", MonitorName(options.monitor), MonitorName(defaults.monitor));
  add("min_delta", options.min_delta, defaults.min_delta);
  add("random_resized_crop", options.augmentation.random_resized_crop, 0);
  add("rotation", options.augmentation.rotation, 0);
  add("color_jitter", options.augmentation.color_jitter, 0);
  add("schedule_start_epoch", options.schedule_start_epoch, defaults.schedule_start_epoch);
  add("freeze", options.freeze, defaults.freeze);
  add("start_from", options.start.model_version, defaults.start.model_version);
  add("start_sha256", options.start.sha256, defaults.start.sha256);
  add("taken_layers", options.start.taken_layers, defaults.start.taken_layers);
  add("continues", options.start.continued_job, defaults.start.continued_job);
}

// What of a fingerprint a training may change that continues another.
constexpr const char* kChangeable[] = {
    "epochs",      "patience",    "learning_rate",        "schedule", "warmup_fraction",
    "step_factor", "step_epochs", "schedule_start_epoch", "freeze",   "continues"};

}  // namespace

std::string TrainingOptions::Fingerprint(const Dataset& dataset) const {
  nlohmann::ordered_json all = {{"architecture", architecture.ToJson()},
                                {"epochs", epochs},
                                {"batch_size", batch_size},
                                {"patience", patience},
                                {"validation_fraction", validation_fraction},
                                {"seed", seed},
                                {"learning_rate", learning_rate},
                                {"schedule", std::string(ScheduleName(schedule))},
                                {"warmup_fraction", warmup_fraction},
                                {"horizontal_flip", augmentation.horizontal_flip},
                                {"shift", augmentation.shift},
                                {"erasing", augmentation.erasing},
                                {"label_smoothing", label_smoothing},
                                {"weight_decay", weight_decay},
                                {"average_decay", average_decay},
                                {"adam_beta1", adam_beta1},
                                {"adam_beta2", adam_beta2},
                                {"adam_epsilon", adam_epsilon},
                                {"batch_norm_momentum", batch_norm_momentum},
                                {"precision", std::string(PrecisionName(precision))},
                                {"shards", shards},
                                {kMethodField, kMethod},
                                {"dataset", dataset.checksum()}};
  // Weights made on another device are others, in the last digits.
  if (device != Device::kCpu) all["device"] = std::string(DeviceName(device));
  if (path_choice == PathChoice::kLibTorch) {
    all["compute_path"] = std::string(ComputePathName(ComputePath::kLibTorch));
  }
  AddLater(*this, all);
  return all.dump();
}

std::vector<std::string> FingerprintDifferences(const std::string& one, const std::string& other) {
  const auto parse = [](const std::string& text) {
    return nlohmann::json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  };
  const nlohmann::json first = parse(one);
  const nlohmann::json second = parse(other);
  std::vector<std::string> names;
  if (!first.is_object() || !second.is_object()) return names;
  for (const auto& [name, value] : first.items()) {
    if (!second.contains(name) || second[name] != value) names.push_back(name);
  }
  for (const auto& [name, value] : second.items()) {
    if (!first.contains(name)) names.push_back(name);
  }
  return names;
}

std::vector<std::string> FixedDifferences(const std::string& one, const std::string& other) {
  std::vector<std::string> names = FingerprintDifferences(one, other);
  const auto changeable = [](const std::string& name) {
    return std::find(std::begin(kChangeable), std::end(kChangeable), name) != std::end(kChangeable);
  };
  names.erase(std::remove_if(names.begin(), names.end(), changeable), names.end());
  return names;
}

}  // namespace atelier::models
