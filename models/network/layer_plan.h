// A network for images of a certain size, worked out layer by layer: every default filled in, every
// shape and tensor known, every mistake named. Everything that builds, counts, stores or draws a
// network walks through its plan. Values; no LibTorch.
#ifndef ATELIER_MODELS_NETWORK_LAYER_PLAN_H_
#define ATELIER_MODELS_NETWORK_LAYER_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "atelier/v1/network.pb.h"
#include "models/base/image_shape.h"
#include "models/network/standardization.h"

namespace atelier::models {

struct Architecture;

// What a tensor of a network is.
struct TensorSpec {
  enum class Start { kZeros, kOnes, kGlorotUniform };

  std::string name;
  std::vector<int64_t> shape;
  // False for the running statistics of batch norm.
  bool trainable = true;
  // How it begins.
  Start start = Start::kZeros;
  // Of a convolution's weight: its groups, each a convolution of its own.
  int64_t groups = 1;
  // Of running statistics: the layer's own momentum; absent where the training's applies.
  std::optional<double> momentum = {};

  int64_t size() const;
};

// What a convolution or a pooling sees at once, in pixels.
struct Window {
  int64_t height = 1;
  int64_t width = 1;
  // From one to the next.
  int64_t row_stride = 1;
  int64_t column_stride = 1;
  // Between neighbouring numbers of it.
  int64_t dilation = 1;
  // Around the image.
  int64_t top = 0;
  int64_t bottom = 0;
  int64_t left = 0;
  int64_t right = 0;

  // Whether the margins are the same on opposite sides.
  bool symmetric() const { return top == bottom && left == right; }
};

// Pixels of the image that an output depends on, at most.
struct ReceptiveField {
  int64_t height = 1;
  int64_t width = 1;
};

struct LayerPlan {
  // The layer with every default filled in, also the training's dropout. Of a residual block
  // without its layers, which are in `body`.
  v1::Layer layer;
  // Its kind and number among those, such as `conv2`: what its tensors are called.
  std::string name;
  // Where it stands in the network: `layer 3`, in a residual block `layer 3.1`.
  std::string place;
  // A list of n numbers is n×1×1.
  ImageShape input;
  ImageShape output;
  // Of convolutions, of pooling, of spatial attention, and of a residual block's projection.
  Window window;
  // In the order in which a model keeps them; those of a residual block are its projection's, and
  // come before its layers'.
  std::vector<TensorSpec> tensors;
  // Multiplications with an addition that one image takes, those of its body included: see
  // MultiplyAdds.
  int64_t multiply_adds = 0;
  ReceptiveField receptive_field;
  // Of a residual block.
  std::vector<LayerPlan> body;

  v1::Layer::KindCase kind() const { return layer.kind_case(); }
  // Whether a residual block's input has to be projected.
  bool projects() const { return !tensors.empty() && kind() == v1::Layer::kResidual; }
  // Whether the output is an image and no list of numbers.
  bool gives_image = true;
};

// Name of the last layer.
inline constexpr char kOutputLayer[] = "output";

// Most filters or units of a layer, and the largest kernels and pooling windows.
inline constexpr int64_t kMaxLayerWidth = 65536;
inline constexpr int64_t kMaxKernel = 11;
inline constexpr int64_t kMaxPooling = 4096;

// Most layers of a network, and the depth of residual blocks in each other.
inline constexpr int64_t kMaxLayers = 256;
inline constexpr int64_t kMaxDepth = 8;

struct NetworkPlan {
  ImageShape input;
  // How images are standardised before the first layer; empty if they are not.
  std::vector<ChannelScale> scales;
  // The last is called `output`: the dense layer with an output for each class.
  std::vector<LayerPlan> layers;
  // Every mistake, each naming its layer; then the layers from the first mistake on may be missing
  // or wrong.
  std::vector<std::string> problems;
};

NetworkPlan PlanOf(const Architecture& architecture);

// What a layer is called in messages: `layer 3 (conv2)`.
std::string Title(const LayerPlan& layer);

// What a layer computes, for people: `32 filters of 3×3`.
std::string Phrase(const LayerPlan& layer);

// Calls visit(layer) for each layer, those of residual blocks after the block.
template <typename Visit>
void ForEachLayer(const std::vector<LayerPlan>& layers, const Visit& visit) {
  for (const LayerPlan& layer : layers) {
    visit(layer);
    ForEachLayer(layer.body, visit);
  }
}

// Convolutions of a network, those of residual blocks included; projections are none.
int64_t ConvolutionCount(const NetworkPlan& plan);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_LAYER_PLAN_H_
