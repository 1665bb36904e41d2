// How the kernels want a network's numbers: weights in panels (panel_kernels.h), channels and units
// padded to a panel's width, images with their channels side by side. Training keeps weights,
// gradients and moments this way throughout, as Adam does not mind, and translates only when they
// go in or out. The padding is zero and stays so: its gradients are zero. What training in bfloat16
// multiplies is derived from the weights, which are float32. Values; thread-safe.
#ifndef ATELIER_MODELS_KERNELS_PACKED_LAYOUT_H_
#define ATELIER_MODELS_KERNELS_PACKED_LAYOUT_H_

#include <cstdint>
#include <vector>

#include "models/kernels/coverage.h"
#include "models/kernels/layer_kernels.h"
#include "models/kernels/panel_kernels.h"
#include "models/kernels/winograd.h"
#include "models/network/architecture.h"
#include "models/network/precision.h"

namespace atelier::models {

// Offsets are into the flat buffers that PackedLayout describes.
struct PackedDenseLayer {
  int64_t inputs = 0;
  // Padded, and those that are real.
  int64_t outputs = 0;
  int64_t units = 0;
  int64_t weights = 0;
  int64_t bias = 0;
  // Transposed weights in the derived buffer; -1 for the first layer, which needs none. In bfloat16
  // they are in panels of pairs (pair_products.h), as are the weights at `paired`.
  int64_t transposed = -1;
  int64_t paired = -1;
};

struct PackedConvLayer {
  // Outputs padded.
  ConvolutionShape shape;
  int64_t filters = 0;
  // Of its output; pooled_row_stride is set as the layer after it wants its input.
  PoolShape pool;
  int64_t weights = 0;
  int64_t bias = 0;
  int64_t scale = 0;
  int64_t shift = 0;
  // Running means, `filters` of them, then as many variances.
  int64_t statistics = 0;
  // In the derived buffer: transformed weights (winograd.h), or in bfloat16 weights in panels of
  // pairs (pair_products.h); -1 for a layer whose inputs are no multiple of kPanel, which is
  // computed the plain way. And the same of the transposed weights; -1 for the first layer, which
  // needs none.
  int64_t transformed = -1;
  int64_t transposed = -1;
  // Squeeze and excitation's two; without outputs if there is none.
  PackedDenseLayer squeeze;
  PackedDenseLayer excite;
  // The output of the layer that many before is added to this one's; 0 for none.
  size_t skip = 0;

  bool squeezes() const { return squeeze.outputs > 0; }
  // As NormalizeAndPool is to write: to the next layer's input, or without border where squeeze and
  // excitation comes in between.
  PoolShape map_shape() const {
    PoolShape map = pool;
    if (squeezes()) map.pooled_row_stride = pool.pooled_width() * pool.channels;
    return map;
  }
  // From an image's input to its first pixel, past the border.
  int64_t past_border() const { return shape.padded_row(shape.inputs) + shape.inputs; }
  // Numbers of an image's input, with border.
  int64_t input_size() const { return shape.padded_size(shape.inputs); }
  int64_t output_size() const { return shape.height * shape.width * shape.outputs; }
  int64_t pixels() const { return shape.height * shape.width; }
};

// Weights in bfloat16 from an offset of the derived buffer on.
inline const Bfloat16* PairsIn(const float* derived, int64_t offset) {
  return reinterpret_cast<const Bfloat16*>(derived + offset);
}

class PackedLayout {
 public:
  // Requires a valid architecture. Throws std::logic_error unless the kernels cover it
  // (coverage.h). In bfloat16 for what multiplies it.
  explicit PackedLayout(const Architecture& architecture,
                        Precision precision = Precision::kFloat32);

  const std::vector<PackedConvLayer>& conv_layers() const { return conv_layers_; }
  // The output layer is the last.
  const std::vector<PackedDenseLayer>& dense_layers() const { return dense_layers_; }
  // Sizes of the flat buffers; parameters a multiple of kPanel.
  int64_t parameters() const { return parameters_; }
  int64_t statistics() const { return statistics_; }
  int64_t derived() const { return derived_; }
  // Where each trainable number lies, these being in the order of TensorSpecsOf, row by row.
  const std::vector<int32_t>& positions() const { return positions_; }
  // Whether the first of them gets the means of the last convolution's channels.
  bool averages() const { return network_.shape.average_features; }
  const CoveredNetwork& network() const { return network_; }
  Precision precision() const { return precision_; }
  // Numbers the dense layers get for an image.
  int64_t features() const { return dense_layers_.front().inputs; }

  // What is derived from the weights, transposed and transformed ones, is work of so many pieces,
  // each independent of the others.
  int64_t derive_pieces() const { return static_cast<int64_t>(pieces_.size()); }
  void Derive(int64_t piece, const float* parameters, float* derived) const;

 private:
  // What becomes of weights, in this order.
  struct Form {
    bool transposed;
    bool transformed;  // By winograd.h, those of a convolution with nine taps.
    bool paired;       // In bfloat16 (pair_products.h).
  };

  // A layer's weights, inner × columns for each tap, in another form; a piece is a panel of these.
  struct Derived {
    Form form;
    int64_t taps;
    int64_t inner;
    int64_t columns;
    int64_t weights;
    // Transposed and transformed weights, where they lie between those and what is wanted.
    int64_t transposed = 0;
    int64_t transformed = 0;
    int64_t result = 0;

    // Rows and columns of what is wanted.
    int64_t rows() const { return form.transposed ? columns : inner; }
    int64_t panels() const { return (form.transposed ? inner : columns) / kPanel; }
  };
  struct DerivePiece {
    Derived what;
    int64_t panel;
  };

  // The shape of what the dense layers get.
  ImageShape AddConvLayers();
  void AddDenseLayers(const ImageShape& features);
  // A dense layer of `units`, which gets `plane` pixels of `channels` numbers each, stored as
  // `stored` side by side; in `positions_` channel by channel.
  PackedDenseLayer AddDense(int64_t plane, int64_t channels, int64_t stored, int64_t units);
  // What becomes of a convolution's weights for its results, or transposed for its gradient by the
  // input.
  Form ConvolutionForm(bool transposed) const;
  // Of one of the layers that the loss is made of.
  void DeriveDense(PackedDenseLayer& layer, bool transposed);
  int64_t Reserve(int64_t size);
  // Makes room and pieces; where the result will be.
  int64_t ReserveDerived(Derived what);

  const CoveredNetwork network_;
  const Precision precision_;
  std::vector<PackedConvLayer> conv_layers_;
  std::vector<PackedDenseLayer> dense_layers_;
  std::vector<DerivePiece> pieces_;
  std::vector<int32_t> positions_;
  int64_t parameters_ = 0;
  int64_t statistics_ = 0;
  int64_t derived_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PACKED_LAYOUT_H_
