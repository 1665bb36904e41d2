// LibTorch's TorchScript modules, on top of libtorch.h, for the same reason. Private to models/.
#ifndef ATELIER_MODELS_TORCH_LIBTORCH_JIT_H_
#define ATELIER_MODELS_TORCH_LIBTORCH_JIT_H_

// clang-format off
#include "models/torch/libtorch.h"
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>
// clang-format on

#endif  // ATELIER_MODELS_TORCH_LIBTORCH_JIT_H_
