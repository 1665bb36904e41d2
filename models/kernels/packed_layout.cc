#include "models/kernels/packed_layout.h"

#include <algorithm>
#include <utility>

#include "models/kernels/coverage.h"
#include "models/kernels/pair_layouts.h"
#include "models/kernels/pair_products.h"
#include "models/kernels/pair_winograd.h"

namespace atelier::models {
namespace {

// Position of row k, column j of a matrix in panels.
int64_t InPanels(int64_t k, int64_t j, int64_t inner) {
  return (j / kPanel * inner + k) * kPanel + j % kPanel;
}

// Where a convolution's parameters are, in the order in which the network has them.
void PlaceConvolution(const PackedConvLayer& layer, int64_t channels,
                      std::vector<int32_t>* positions) {
  const int64_t stored = layer.shape.inputs;
  for (int64_t j = 0; j < layer.filters; ++j) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t tap = 0; tap < 9; ++tap) {
        const int64_t at = InPanels(tap * stored + c, j, 9 * stored);
        positions->push_back(static_cast<int32_t>(layer.weights + at));
      }
    }
  }
  for (const int64_t offset : {layer.bias, layer.scale, layer.shift}) {
    for (int64_t j = 0; j < layer.filters; ++j) {
      positions->push_back(static_cast<int32_t>(offset + j));
    }
  }
}

}  // namespace

PackedLayout::PackedLayout(const Architecture& architecture, Precision precision)
    : network_(RequireCovered(architecture)), precision_(precision) {
  positions_.reserve(static_cast<size_t>(architecture.TrainableParameterCount()));
  AddDenseLayers(AddConvLayers());
}

int64_t PackedLayout::Reserve(int64_t size) {
  const int64_t offset = parameters_;
  parameters_ += PadToPanel(size);
  return offset;
}

int64_t PackedLayout::ReserveDerived(Derived what) {
  const auto reserve = [this](int64_t size) { return std::exchange(derived_, derived_ + size); };
  const int64_t matrix = what.inner * what.columns;
  const auto& form = what.form;
  if (form.transposed && form.transformed) what.transposed = reserve(what.taps * matrix);
  if (form.transformed && form.paired) what.transformed = reserve(kWinogradPlaces * matrix);
  const int64_t numbers = (form.transformed ? kWinogradPlaces : what.taps) * matrix;
  // Two of bfloat16 take the room of a float.
  what.result = reserve(form.paired ? numbers / 2 : numbers);
  for (int64_t panel = 0; panel < what.panels(); ++panel) pieces_.push_back({what, panel});
  return what.result;
}

PackedLayout::Form PackedLayout::ConvolutionForm(bool transposed) const {
  const bool pairs = precision_ == Precision::kBfloat16;
  return {transposed, !pairs || PairsAreTransformed(), pairs};
}

ImageShape PackedLayout::AddConvLayers() {
  ImageShape input = network_.input;
  // As stored: padded from the second layer on.
  int64_t stored = input.channels;
  for (const ConvBlock& block : network_.shape.blocks) {
    PackedConvLayer layer;
    layer.filters = block.filters;
    layer.shape = {input.height, input.width, stored, PadToPanel(block.filters)};
    const int64_t outputs = layer.shape.outputs;
    layer.weights = Reserve(9 * stored * outputs);
    layer.bias = Reserve(outputs);
    layer.scale = Reserve(outputs);
    layer.shift = Reserve(outputs);
    layer.statistics = statistics_;
    statistics_ += 2 * block.filters;
    if (!conv_layers_.empty()) {
      layer.transposed = ReserveDerived({ConvolutionForm(true), 9, stored, outputs, layer.weights});
    }
    if (stored % kPanel == 0) {
      layer.transformed =
          ReserveDerived({ConvolutionForm(false), 9, stored, outputs, layer.weights});
    }
    PlaceConvolution(layer, input.channels, &positions_);
    if (block.squeeze > 0) {
      const int64_t units = block.filters / block.squeeze;
      layer.squeeze = AddDense(1, block.filters, outputs, units);
      layer.excite = AddDense(1, units, PadToPanel(units), block.filters);
      for (PackedDenseLayer* dense : {&layer.squeeze, &layer.excite}) {
        dense->transposed =
            ReserveDerived({{.transposed = true, .transformed = false, .paired = false},
                            1,
                            dense->inputs,
                            dense->outputs,
                            dense->weights});
      }
    }
    layer.skip = static_cast<size_t>(block.skip);
    layer.pool = {input.height, input.width, outputs, std::max<int64_t>(block.pool, 1), 0};
    const bool last = conv_layers_.size() + 1 == network_.shape.blocks.size();
    layer.pool.pooled_row_stride = (layer.pool.pooled_width() + (last ? 0 : 2)) * outputs;
    input = {block.filters, layer.pool.pooled_height(), layer.pool.pooled_width()};
    stored = outputs;
    conv_layers_.push_back(layer);
  }
  if (averages()) input.height = input.width = 1;
  return input;
}

PackedDenseLayer PackedLayout::AddDense(int64_t plane, int64_t channels, int64_t stored,
                                        int64_t units) {
  PackedDenseLayer layer;
  layer.inputs = plane * stored;
  layer.units = units;
  layer.outputs = PadToPanel(units);
  layer.weights = Reserve(layer.inputs * layer.outputs);
  layer.bias = Reserve(layer.outputs);
  for (int64_t j = 0; j < units; ++j) {
    for (int64_t i = 0; i < plane * channels; ++i) {
      const int64_t k = i % plane * stored + i / plane;
      positions_.push_back(static_cast<int32_t>(layer.weights + InPanels(k, j, layer.inputs)));
    }
  }
  for (int64_t j = 0; j < units; ++j) {
    positions_.push_back(static_cast<int32_t>(layer.bias + j));
  }
  return layer;
}

void PackedLayout::DeriveDense(PackedDenseLayer& layer, bool transposed) {
  const bool pairs = precision_ == Precision::kBfloat16;
  const auto derive = [&](bool transpose) {
    const Form form = {.transposed = transpose, .transformed = false, .paired = pairs};
    return ReserveDerived({form, 1, layer.inputs, layer.outputs, layer.weights});
  };
  if (transposed) layer.transposed = derive(true);
  if (pairs) layer.paired = derive(false);
}

void PackedLayout::AddDenseLayers(const ImageShape& features) {
  // Features lie as the images do, channels side by side; pixels of a network without convolutions
  // as the data set has them.
  const bool convolved = !conv_layers_.empty();
  int64_t plane = convolved ? features.height * features.width : 1;
  int64_t channels = convolved ? features.channels : features.size();
  // Pairs are multiplied many at a time.
  const bool padded = convolved || precision_ == Precision::kBfloat16;
  int64_t stored = padded ? PadToPanel(channels) : channels;
  std::vector<int64_t> widths = network_.shape.dense_layers;
  widths.push_back(network_.classes);
  for (const int64_t units : widths) {
    const bool transposed = convolved || !dense_layers_.empty();
    dense_layers_.push_back(AddDense(plane, channels, stored, units));
    DeriveDense(dense_layers_.back(), transposed);
    plane = 1;
    channels = units;
    stored = dense_layers_.back().outputs;
  }
}

void PackedLayout::Derive(int64_t piece, const float* parameters, float* derived) const {
  const auto& [what, panel] = pieces_[static_cast<size_t>(piece)];
  const float* weights = parameters + what.weights;
  float* const result = derived + what.result;
  auto* const pairs = reinterpret_cast<Bfloat16*>(result);
  const auto& form = what.form;
  if (form.transposed && !form.transformed) {
    if (form.paired) {
      return TransposeToPairs(what.taps, what.inner, what.columns, panel, weights, pairs);
    }
    return TransposePanels(what.taps, what.inner, what.columns, panel, weights, result);
  }
  if (!form.transformed) {
    const int64_t rows = what.taps * what.rows();
    const int64_t at = panel * rows * kPanel;
    return PairRows(rows, kPanel, weights + at, kPanel, rows, pairs + at);
  }
  if (form.transposed) {
    float* const transposed = derived + what.transposed;
    TransposePanels(what.taps, what.inner, what.columns, panel, weights, transposed);
    weights = transposed;
  }
  float* const transformed = form.paired ? derived + what.transformed : result;
  TransformWeights(what.rows(), what.panels() * kPanel, panel, weights, transformed);
  if (form.paired) {
    PairTransformedWeights(what.rows(), what.panels() * kPanel, panel, transformed, pairs);
  }
}

}  // namespace atelier::models
