// In which precision the kernels train a network faster on this machine, its processor deciding by
// a measurement: AMX multiplies bfloat16 many times as fast as float32, AVX-512 BF16 twice as fast
// on some processors and half as fast on others. Thread-safe: free functions.
#ifndef ATELIER_MODELS_KERNELS_FASTEST_PRECISION_H_
#define ATELIER_MODELS_KERNELS_FASTEST_PRECISION_H_

#include <cstdint>

#include "models/network/architecture.h"
#include "models/network/device.h"
#include "models/network/precision.h"

namespace atelier::models {

// True if a convolution takes clearly less time in bfloat16 than in float32 by the kernels.
// Measured at the first call, which takes a few milliseconds.
bool PairsAreFaster();

// How this machine rounds what it multiplies where that is so; else kNone.
ProductRounding FastestProductRounding();

// bfloat16 where that is so and the kernels train such a network on such a device, with so many
// layers frozen; else float32.
Precision FastestPrecision(const Architecture& architecture, Device device, int64_t freeze = 0);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_FASTEST_PRECISION_H_
