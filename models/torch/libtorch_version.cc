#include "models/torch/libtorch_version.h"

// CMake's package has no version on Debian; the header always has.
#include <torch/version.h>

namespace atelier::models {

const char* LibTorchVersion() { return TORCH_VERSION; }

}  // namespace atelier::models
