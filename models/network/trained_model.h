// A network's numbers as plain data, without LibTorch: what training yields, a checkpoint stores,
// evaluation scores and an archive is made from. Values; not synchronised.
#ifndef ATELIER_MODELS_NETWORK_TRAINED_MODEL_H_
#define ATELIER_MODELS_NETWORK_TRAINED_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/network/architecture.h"
#include "models/network/layer_plan.h"

namespace atelier::models {

// The tensors of a valid architecture in the order of its layers, which are numbered by kind:
// - convolution: `conv<i>.weight` (filters × channels / groups × kernel height × kernel width) and
//   `conv<i>.bias`;
// - batch norm: `norm<i>.weight`, `norm<i>.bias`, `norm<i>.running_mean`, `norm<i>.running_var`;
// - group and layer norm: `group_norm<i>` and `layer_norm<i>`, `.weight` and `.bias`;
// - squeeze and excitation: `squeeze<i>` (units × channels) and `excite<i>` (channels × units),
//   `.weight` and `.bias`;
// - spatial attention: `attention<i>.weight` (1 × 2 × kernel × kernel);
// - a residual block that needs one: `projection<i>.weight`, before its layers';
// - dense: `dense<i>.weight` (out × in) and `dense<i>.bias`; the last are called `output`.
std::vector<TensorSpec> TensorSpecsOf(const Architecture& architecture);

// One tensor, its values in row-major order.
struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;

  friend bool operator==(const NamedTensor&, const NamedTensor&) = default;
};

// A network with its weights, in the order of TensorSpecsOf.
struct TrainedModel {
  Architecture architecture;
  std::vector<NamedTensor> tensors;

  // An untrained network: Glorot-uniform weights from the seed, scales and variances 1, the rest 0.
  // Requires a valid architecture.
  static TrainedModel Initial(const Architecture& architecture, uint64_t seed);

  // The tensor of that name; null if there is none.
  const NamedTensor* Find(absl::string_view name) const;

  // kInvalidArgument if the architecture is not valid or the tensors are not those it has.
  absl::Status Validate() const;

  friend bool operator==(const TrainedModel&, const TrainedModel&) = default;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_TRAINED_MODEL_H_
