#include "models/network/training_start.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "models/network/layer_plan.h"

namespace atelier::models {
namespace {

bool IsCounted(const LayerPlan& layer) {
  return layer.kind() == v1::Layer::kConvolution || layer.kind() == v1::Layer::kDense;
}

bool SameTensors(const LayerPlan& one, const LayerPlan& other) {
  return std::equal(one.tensors.begin(), one.tensors.end(), other.tensors.begin(),
                    other.tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
                      return a.name == b.name && a.shape == b.shape;
                    });
}

// The layers with tensors, in the order of TensorSpecsOf.
std::vector<LayerPlan> LayersWithTensors(const Architecture& architecture) {
  std::vector<LayerPlan> layers;
  ForEachLayer(PlanOf(architecture).layers, [&layers](const LayerPlan& layer) {
    if (layer.tensors.empty()) return;
    layers.push_back(layer);
    layers.back().body.clear();
  });
  return layers;
}

// Calls visit(layer, frozen) for each layer in the order of TensorSpecsOf; `counted` is of those
// before.
template <typename Visit>
void VisitFrozen(const std::vector<LayerPlan>& layers, int64_t count, int64_t& counted,
                 const Visit& visit) {
  for (const LayerPlan& layer : layers) {
    if (IsCounted(layer)) ++counted;
    // What stands before a residual block's own layers runs beside them.
    visit(layer, layer.body.empty() ? counted <= count : counted < count);
    VisitFrozen(layer.body, count, counted, visit);
  }
}

}  // namespace

void MatchLayers(const Architecture& architecture, const Architecture& from, bool same_classes,
                 TrainingStart* start) {
  const std::vector<LayerPlan> others = LayersWithTensors(from);
  for (const LayerPlan& layer : LayersWithTensors(architecture)) {
    const bool there = std::any_of(others.begin(), others.end(), [&layer](const LayerPlan& other) {
      return SameTensors(layer, other);
    });
    const bool taken = there && (same_classes || layer.name != kOutputLayer);
    (taken ? start->taken_layers : start->new_layers).push_back(layer.name);
  }
}

absl::Status TakeLayers(const std::vector<std::string>& layers, const TrainedModel& from,
                        TrainedModel* model) {
  const std::vector<LayerPlan> plans = LayersWithTensors(model->architecture);
  for (const std::string& name : layers) {
    const auto plan = std::find_if(plans.begin(), plans.end(),
                                   [&name](const LayerPlan& layer) { return layer.name == name; });
    if (plan == plans.end()) {
      return absl::InvalidArgumentError(absl::StrCat("the network has no layer ", name));
    }
    for (const TensorSpec& spec : plan->tensors) {
      const NamedTensor* const values = from.Find(spec.name);
      if (values == nullptr || values->shape != spec.shape) {
        return absl::InvalidArgumentError(
            absl::StrCat("the model to start from has no such ", spec.name));
      }
      std::find_if(model->tensors.begin(), model->tensors.end(),
                   [&spec](const NamedTensor& tensor) { return tensor.name == spec.name; })
          ->values = values->values;
    }
  }
  return absl::OkStatus();
}

int64_t WeightLayerCount(const Architecture& architecture) {
  int64_t count = 0;
  ForEachLayer(PlanOf(architecture).layers,
               [&count](const LayerPlan& layer) { count += IsCounted(layer) ? 1 : 0; });
  return count;
}

std::vector<std::string> FrozenLayers(const Architecture& architecture, int64_t count) {
  std::vector<std::string> names;
  if (count == 0) return names;
  int64_t counted = 0;
  VisitFrozen(PlanOf(architecture).layers, count, counted,
              [&names](const LayerPlan& layer, bool frozen) {
                if (frozen && !layer.tensors.empty()) names.push_back(layer.name);
              });
  return names;
}

std::vector<bool> FrozenTensors(const Architecture& architecture, int64_t count) {
  std::vector<bool> frozen_tensors;
  int64_t counted = 0;
  VisitFrozen(
      PlanOf(architecture).layers, count, counted, [&](const LayerPlan& layer, bool frozen) {
        frozen_tensors.insert(frozen_tensors.end(), layer.tensors.size(), count > 0 && frozen);
      });
  return frozen_tensors;
}

int64_t TrainedParameterCount(const Architecture& architecture, int64_t freeze) {
  const std::vector<TensorSpec> specs = TensorSpecsOf(architecture);
  const std::vector<bool> frozen = FrozenTensors(architecture, freeze);
  int64_t count = 0;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].trainable && !frozen[i]) count += specs[i].size();
  }
  return count;
}

}  // namespace atelier::models
