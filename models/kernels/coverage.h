// What our kernels compute: the one place that says where they take LibTorch's place. Thread-safe:
// free functions.
#ifndef ATELIER_MODELS_KERNELS_COVERAGE_H_
#define ATELIER_MODELS_KERNELS_COVERAGE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/network/architecture.h"
#include "models/network/block_network.h"
#include "models/network/device.h"
#include "models/network/precision.h"
#include "models/network/standardization.h"

namespace atelier::models {

// A network as the kernels compute it.
struct CoveredNetwork {
  // Kernels of 3×3, ReLU, batch norm after it, and max pooling.
  BlockNetwork shape;
  ImageShape input;
  // As NetworkPlan has them.
  std::vector<ChannelScale> scales;
  int64_t classes = 0;
  // After each hidden dense layer.
  double dropout = 0;
};

// The network in that form; kUnimplemented naming the first layer that the kernels lack.
absl::StatusOr<CoveredNetwork> Cover(const Architecture& architecture);

// OK if the kernels train such a network in such arithmetic on such a device (PackedShard), with
// so many layers frozen (TrainingOptions::freeze), else kUnimplemented saying what they lack.
absl::Status KernelsCoverTraining(const Architecture& architecture, Precision precision,
                                  Device device, int64_t freeze = 0);

// The same of classifying with trained weights (InferenceProgram), in either precision.
absl::Status KernelsCoverInference(const Architecture& architecture, Device device);

// Throws std::logic_error with the status' message unless it is OK: kernels were asked for what
// they do not cover.
void RequireCovered(const absl::Status& coverage);
// The same of a network.
CoveredNetwork RequireCovered(const Architecture& architecture);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_COVERAGE_H_
