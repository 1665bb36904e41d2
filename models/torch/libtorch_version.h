// Which LibTorch this was built with.
#ifndef ATELIER_MODELS_TORCH_LIBTORCH_VERSION_H_
#define ATELIER_MODELS_TORCH_LIBTORCH_VERSION_H_

namespace atelier::models {

// As LibTorch calls itself: `1.13.1`. Thread-safe; loads nothing.
const char* LibTorchVersion();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_LIBTORCH_VERSION_H_
