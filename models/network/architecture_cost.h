// What a network costs to compute. Thread-safe: a pure function.
#ifndef ATELIER_MODELS_NETWORK_ARCHITECTURE_COST_H_
#define ATELIER_MODELS_NETWORK_ARCHITECTURE_COST_H_

#include <cstdint>

#include "models/network/architecture.h"

namespace atelier::models {

// Multiplications with an addition that classifying one image takes: those of the convolutions and
// of the dense layers, squeeze and excitation's included. Pixels of the padding count. Biases,
// batch norm, pooling, skips and scaling by excitation do not. FLOPs are twice as many. Requires a
// valid architecture.
int64_t MultiplyAdds(const Architecture& architecture);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_ARCHITECTURE_COST_H_
