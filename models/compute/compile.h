// Makes a trained network ready to classify, by the path that covers it: the one place that decides
// who computes scoring and serving. Private to models/. Thread-safe: a free function.
#ifndef ATELIER_MODELS_COMPUTE_COMPILE_H_
#define ATELIER_MODELS_COMPUTE_COMPILE_H_

#include <memory>

#include "models/network/compute_path.h"
#include "models/network/device.h"
#include "models/network/inference_network.h"
#include "models/network/precision.h"
#include "models/network/trained_model.h"

namespace atelier::models {

struct CompileOptions {
  // Wanted for the dense layers' weights. LibTorch keeps them in float32 whatever is wanted; the
  // network tells what it is.
  Precision precision = Precision::kFloat32;
  Device device = Device::kCpu;
  PathChoice path_choice = PathChoice::kAutomatic;
  // With weights in bfloat16: whatever is multiplied may be rounded to it in this way, which is
  // done where this machine multiplies faster so (FastestProductRounding).
  ProductRounding product_rounding = ProductRounding::kNone;
};

// Requires a valid model. Throws std::bad_alloc and what LibTorch throws, as where there is no such
// device.
std::unique_ptr<const InferenceNetwork> Compile(const TrainedModel& model,
                                                const CompileOptions& options = {});

}  // namespace atelier::models

#endif  // ATELIER_MODELS_COMPUTE_COMPILE_H_
