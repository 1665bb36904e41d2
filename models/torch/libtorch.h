// LibTorch's tensors. Include this rather than its own headers: Clang in C++20 refuses LibTorch
// 1.13's unless ivalue.h comes before the rest. Private to models/.
#ifndef ATELIER_MODELS_TORCH_LIBTORCH_H_
#define ATELIER_MODELS_TORCH_LIBTORCH_H_

// clang-format off
#include <ATen/core/ivalue.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
// clang-format on

#endif  // ATELIER_MODELS_TORCH_LIBTORCH_H_
