// Which code computes a network. Values; thread-safe.
#ifndef ATELIER_MODELS_NETWORK_COMPUTE_PATH_H_
#define ATELIER_MODELS_NETWORK_COMPUTE_PATH_H_

#include "absl/strings/string_view.h"

namespace atelier::models {

// LibTorch computes every network; our kernels compute faster what they cover (coverage.h). Both
// give the same results within rounding, each bit-identical to itself.
enum class ComputePath { kKernels, kLibTorch };

// `kernels` or `libtorch`.
absl::string_view ComputePathName(ComputePath path);

// How the path is chosen.
enum class PathChoice {
  // The kernels where they cover the network.
  kAutomatic,
  // LibTorch throughout, as a reference.
  kLibTorch,
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_COMPUTE_PATH_H_
