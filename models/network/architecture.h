// What a network is, as plain data: its layers (network.proto), the images they get and the classes
// they tell apart. Everything that builds, counts, stores or draws a network starts from here, most
// of it from the plan of its layers (layer_plan.h). Values; no LibTorch.
#ifndef ATELIER_MODELS_NETWORK_ARCHITECTURE_H_
#define ATELIER_MODELS_NETWORK_ARCHITECTURE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/network.pb.h"
#include "models/base/image_shape.h"

namespace atelier::models {

struct Architecture {
  v1::Network network;
  ImageShape input;
  // Outputs of the network.
  int64_t classes = 0;
  // The rate of dropout layers that have none of their own, 0 to below 1.
  double dropout = 0;

  // The network of that name in presets.h, for those images. kInvalidArgument if there is no such
  // preset or the result is not valid (see Validate).
  static absl::StatusOr<Architecture> FromPreset(absl::string_view preset, ImageShape input,
                                                 int64_t classes, double dropout);

  // Reads what ToJson wrote, also that of version 0.1.0, which knew only blocks of layers.
  // kInvalidArgument if it is not JSON, a field is missing or of another type, or the result is not
  // valid.
  static absl::StatusOr<Architecture> FromJson(absl::string_view json);
  std::string ToJson() const;

  // kInvalidArgument naming every mistake and its layer.
  absl::Status Validate() const;

  // Numbers that training changes by gradients. Requires a valid architecture, as do the other
  // counts.
  int64_t TrainableParameterCount() const;
  // Those and the batch-norm running means and variances.
  int64_t ParameterCount() const;
  // Multiplications with an addition that classifying one image takes: those of the convolutions
  // and of the dense layers, projections, squeeze and excitation and spatial attention included.
  // Pixels of the padding count. Biases, normalisation, pooling, sums and scaling do not. FLOPs are
  // twice as many.
  int64_t MultiplyAdds() const;

  friend bool operator==(const Architecture& a, const Architecture& b) {
    return a.ToJson() == b.ToJson();
  }
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_ARCHITECTURE_H_
