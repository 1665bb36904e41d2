// What a training begins with in place of new random weights, and which layers it leaves as they
// are. Values and pure functions; no LibTorch.
//
// Layers are taken and frozen whole: a layer's tensors mean something together. They are known by
// their names in the plan (`conv2`, `norm2`, `output`), which count them by kind.
#ifndef ATELIER_MODELS_NETWORK_TRAINING_START_H_
#define ATELIER_MODELS_NETWORK_TRAINING_START_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/network/architecture.h"
#include "models/network/trained_model.h"

namespace atelier::models {

struct TrainingStart {
  // The version whose weights are taken, `models/{model}/versions/{version}`, and its archive's
  // SHA-256; empty if all are new.
  std::string model_version;
  std::string sha256;
  // Names of the layers that begin with its weights, and of those that begin with new ones.
  std::vector<std::string> taken_layers;
  std::vector<std::string> new_layers;
  // Names of the layers that are not trained, see FrozenLayers.
  std::vector<std::string> frozen_layers;
  // The job that is continued, `jobs/{job}`, and the epochs it had finished; empty and 0 if none.
  std::string continued_job;
  int64_t continued_epochs = 0;

  bool any() const { return !model_version.empty() || !continued_job.empty(); }
};

// Sorts the layers of a network into those that can be taken from another, where all their tensors
// have the same names and shapes, and new ones. The output is taken only if `same_classes`. Both
// must be valid.
void MatchLayers(const Architecture& architecture, const Architecture& from, bool same_classes,
                 TrainingStart* start);

// Puts the tensors of the named layers from one model into another. kInvalidArgument naming the
// layer if one of the two does not have it like that; `model` is then of no use.
absl::Status TakeLayers(const std::vector<std::string>& layers, const TrainedModel& from,
                        TrainedModel* model);

// Convolutions and dense layers, those of residual blocks included: what freezing counts.
int64_t WeightLayerCount(const Architecture& architecture);

// Names of the layers with tensors that freezing so many convolutions and dense layers freezes:
// these, counted from the input, and all before the next one. A residual block's projection goes
// with the first of its layers.
std::vector<std::string> FrozenLayers(const Architecture& architecture, int64_t count);

// Numbers that training changes by gradients when so many are frozen.
int64_t TrainedParameterCount(const Architecture& architecture, int64_t freeze);

// Whether each tensor, in the order of TensorSpecsOf, belongs to such a layer.
std::vector<bool> FrozenTensors(const Architecture& architecture, int64_t count);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_TRAINING_START_H_
