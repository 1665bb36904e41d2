// A trained network made ready to classify: what scoring and serving need of it, whichever code
// computes it. Immutable, hence thread-safe: each call computes on its own thread alone.
#ifndef ATELIER_MODELS_NETWORK_INFERENCE_NETWORK_H_
#define ATELIER_MODELS_NETWORK_INFERENCE_NETWORK_H_

#include <cstdint>

#include "absl/types/span.h"
#include "models/base/pixel_span.h"
#include "models/network/architecture.h"
#include "models/network/compute_path.h"
#include "models/network/precision.h"

namespace atelier::models {

class InferenceNetwork {
 public:
  virtual ~InferenceNetwork() = default;

  // Writes the class probabilities of every image of all parts, in their order: images × classes.
  // Each part is a whole number of images. Throws std::bad_alloc and what LibTorch throws.
  virtual void Run(absl::Span<const PixelSpan> parts, float* probabilities) const = 0;

  // Bytes of the weights.
  virtual int64_t memory_bytes() const = 0;
  // Of the dense layers' weights.
  virtual Precision precision() const = 0;
  // How what is multiplied is rounded to bfloat16, too.
  virtual ProductRounding product_rounding() const { return ProductRounding::kNone; }
  virtual ComputePath path() const = 0;

  const ImageShape& input_shape() const { return input_shape_; }
  int64_t classes() const { return classes_; }

 protected:
  explicit InferenceNetwork(const Architecture& architecture)
      : input_shape_(architecture.input), classes_(architecture.classes) {}

 private:
  // Constant after construction.
  const ImageShape input_shape_;
  const int64_t classes_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_INFERENCE_NETWORK_H_
