// What computes a network. Thread-safe: free functions.
#ifndef ATELIER_MODELS_NETWORK_DEVICE_H_
#define ATELIER_MODELS_NETWORK_DEVICE_H_

#include "absl/strings/string_view.h"

namespace atelier::models {

// What computes: this machine's processor, or its first GPU.
enum class Device { kCpu, kCuda };

// `cpu` or `cuda`.
absl::string_view DeviceName(Device device);
// True if LibTorch has a GPU to compute on. Loads LibTorch where there may be one.
bool CudaAvailable();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_DEVICE_H_
