#include "models/kernels/shard_dense.h"

#include <algorithm>
#include <vector>

#include "models/base/float_buffer.h"
#include "models/kernels/pair_layouts.h"
#include "models/kernels/pair_products.h"
#include "models/kernels/panel_kernels.h"

namespace atelier::models {
namespace {

void WriteBiasGradient(const PackedDenseLayer& layer, int64_t rows, const float* gradient,
                       float* gradients) {
  float* const bias = gradients + layer.bias;
  std::fill_n(bias, layer.outputs, 0.0F);
  AddColumns(rows, layer.outputs, gradient, bias);
}

class FloatShardDense : public ShardDense {
 public:
  FloatShardDense(const PackedDenseLayer& layer, const float* parameters, const float* derived)
      : layer_(layer), parameters_(parameters), derived_(derived) {}

  void Forward(int64_t rows, const float* input, Activation activation, float* values) override {
    Multiply(rows, layer_.inputs, layer_.outputs, input, parameters_ + layer_.weights,
             parameters_ + layer_.bias, activation, values);
  }
  void WriteGradient(int64_t rows, const float* input, const float* gradient,
                     float* gradients) override {
    WriteDenseGradient(layer_, rows, input, gradient, gradients);
  }
  void BackToInput(int64_t rows, const float* gradient, float* input_gradient) override {
    Multiply(rows, layer_.outputs, layer_.inputs, gradient, derived_ + layer_.transposed, nullptr,
             Activation::kNone, input_gradient);
  }

 private:
  const PackedDenseLayer& layer_;
  const float* const parameters_;
  const float* const derived_;
};

class PairShardDense : public ShardDense {
 public:
  PairShardDense(const PackedDenseLayer& layer, const float* parameters, const float* derived,
                 int64_t max_rows)
      : layer_(layer),
        bias_(parameters + layer.bias),
        weights_(PairsIn(derived, layer.paired)),
        transposed_(PairsIn(derived, layer.transposed)),
        input_(max_rows * layer.inputs),
        transposed_input_(PadToPairStep(max_rows) * layer.inputs),
        gradient_(max_rows * layer.outputs),
        paired_gradient_(PadToPairStep(max_rows) * layer.outputs),
        tasks_(static_cast<size_t>(layer.outputs / kPanel)) {}

  void Forward(int64_t rows, const float* input, Activation activation, float* values) override {
    RoundNumbers(rows * layer_.inputs, input, input_.data());
    MultiplyByPairs(rows, layer_.inputs, layer_.outputs, input_.data(), weights_, bias_, activation,
                    values);
  }

  void WriteGradient(int64_t rows, const float* /*input*/, const float* gradient,
                     float* gradients) override {
    WriteBiasGradient(layer_, rows, gradient, gradients);
    const int64_t padded = PadToPairStep(rows);
    TransposeRows(rows, layer_.inputs, input_.data(), padded, transposed_input_.data());
    const int64_t panels = layer_.outputs / kPanel;
    for (int64_t panel = 0; panel < panels; ++panel) {
      Bfloat16* const pairs = paired_gradient_.data() + panel * kPanel * padded;
      PairRows(rows, kPanel, gradient + panel * kPanel, layer_.outputs, padded, pairs);
      PairTask& task = tasks_[static_cast<size_t>(panel)];
      task = {};
      task.a = transposed_input_.data();
      task.a_stride = padded;
      task.segment_size = padded;
      task.b = pairs;
      task.c = gradients + layer_.weights + panel * kPanel * layer_.inputs;
      task.c_stride = kPanel;
    }
    MultiplyPairs(tasks_, layer_.inputs);
  }

  void BackToInput(int64_t rows, const float* gradient, float* input_gradient) override {
    RoundNumbers(rows * layer_.outputs, gradient, gradient_.data());
    MultiplyByPairs(rows, layer_.outputs, layer_.inputs, gradient_.data(), transposed_, nullptr,
                    Activation::kNone, input_gradient);
  }

 private:
  const PackedDenseLayer& layer_;
  const float* const bias_;
  const Bfloat16* const weights_;
  const Bfloat16* const transposed_;
  // Rounded, and with rows and columns exchanged.
  const NumberBuffer<Bfloat16> input_;
  const NumberBuffer<Bfloat16> transposed_input_;
  const NumberBuffer<Bfloat16> gradient_;
  const NumberBuffer<Bfloat16> paired_gradient_;
  // Of the gradient by the weights, one a panel.
  std::vector<PairTask> tasks_;
};

}  // namespace

void WriteDenseGradient(const PackedDenseLayer& layer, int64_t rows, const float* input,
                        const float* gradient, float* gradients) {
  MultiplyTransposed(rows, layer.inputs, layer.outputs, input, gradient, gradients + layer.weights);
  WriteBiasGradient(layer, rows, gradient, gradients);
}

std::unique_ptr<ShardDense> ShardDense::Create(const PackedDenseLayer& layer, Precision precision,
                                               const float* parameters, const float* derived,
                                               int64_t max_rows) {
  if (precision == Precision::kFloat32) {
    return std::make_unique<FloatShardDense>(layer, parameters, derived);
  }
  return std::make_unique<PairShardDense>(layer, parameters, derived, max_rows);
}

}  // namespace atelier::models
