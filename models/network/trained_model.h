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

namespace atelier::models {

// What a tensor of a network is. Tensors of a network, in this order: for each conv block i (from
// 1) `conv<i>.weight` (filters × channels / groups × kernel height × kernel width),
// `conv<i>.bias`, `norm<i>.weight`, `norm<i>.bias`, `norm<i>.running_mean`, `norm<i>.running_var`,
// and with squeeze and excitation `squeeze<i>.weight` (units × filters), `squeeze<i>.bias`,
// `excite<i>.weight` (filters × units), `excite<i>.bias`; for each hidden dense layer j
// `dense<j>.weight` (out × in) and `dense<j>.bias`; `output.weight` and `output.bias`.
struct TensorSpec {
  enum class Start { kZeros, kOnes, kGlorotUniform };

  std::string name;
  std::vector<int64_t> shape;
  // False for the running statistics of batch norm.
  bool trainable = true;
  // How it begins.
  Start start = Start::kZeros;
  // Of a convolution's weight: its groups, each a convolution of its own.
  int64_t groups = 1;

  int64_t size() const;
};

// The tensors of a valid architecture.
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
