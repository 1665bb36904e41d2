// What our kernels compute: the one place that says where they take LibTorch's place. Thread-safe:
// free functions.
#ifndef ATELIER_MODELS_KERNELS_COVERAGE_H_
#define ATELIER_MODELS_KERNELS_COVERAGE_H_

#include "absl/status/status.h"
#include "models/network/architecture.h"
#include "models/network/device.h"
#include "models/network/precision.h"

namespace atelier::models {

// OK if the kernels train such a network in such arithmetic on such a device (PackedShard), else
// kUnimplemented saying what they lack. Fields of an architecture that the kernels do not know are
// not covered, unless they have their defaults.
absl::Status KernelsCoverTraining(const Architecture& architecture, Precision precision,
                                  Device device);

// The same of classifying with trained weights (InferenceProgram), in either precision.
absl::Status KernelsCoverInference(const Architecture& architecture, Device device);

// Throws std::logic_error with the status' message unless it is OK: kernels were asked for what
// they do not cover.
void RequireCovered(const absl::Status& coverage);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_COVERAGE_H_
