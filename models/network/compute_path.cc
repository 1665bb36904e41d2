#include "models/network/compute_path.h"

namespace atelier::models {

absl::string_view ComputePathName(ComputePath path) {
  return path == ComputePath::kKernels ? "kernels" : "libtorch";
}

}  // namespace atelier::models
