#include "models/torch/network.h"

#include <utility>

#include "models/base/compute_thread.h"
#include "models/base/pixel_span.h"
#include "models/torch/convolution.h"

namespace atelier::models {
namespace {

bool ChannelsLast(const NetworkPlan& plan) { return ConvolutionCount(plan) > 0; }

at::Tensor EmptyBatch(const NetworkPlan& plan, int64_t count) {
  const ImageShape& shape = plan.input;
  return at::empty({count, shape.channels, shape.height, shape.width},
                   at::TensorOptions(at::kFloat)
                       .memory_format(ChannelsLast(plan) ? at::MemoryFormat::ChannelsLast
                                                         : at::MemoryFormat::Contiguous));
}

// Writes one C×H×W image into a batch.
template <typename Pixel>
void PlaceImage(const ImageShape& shape, bool channels_last, const Pixel* from, float* to) {
  const int64_t plane = shape.height * shape.width;
  const int64_t pixel_step = channels_last ? shape.channels : 1;
  const int64_t channel_step = channels_last ? 1 : plane;
  for (int64_t c = 0; c < shape.channels; ++c) {
    float* out = to + c * channel_step;
    for (int64_t i = 0; i < plane; ++i) out[i * pixel_step] = ToUnit(from[c * plane + i]);
  }
}

template <typename Pixel>
at::Tensor BatchOf(const NetworkPlan& plan, absl::Span<const Pixel> pixels) {
  const int64_t size = plan.input.size();
  const int64_t count = static_cast<int64_t>(pixels.size()) / size;
  at::Tensor batch = EmptyBatch(plan, count);
  const bool channels_last = ChannelsLast(plan);
  float* to = batch.data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    PlaceImage(plan.input, channels_last, pixels.data() + i * size, to + i * size);
  }
  return batch;
}

// x times a mask of that shape: inverted dropout. Not at::dropout, which takes no generator.
at::Tensor Drop(const at::Tensor& x, at::IntArrayRef shape, double rate, RandomStream& random) {
  if (rate == 0) return x;
  at::Tensor mask = at::empty(shape, at::kFloat);
  const auto drop = static_cast<float>(rate);
  const float keep_scale = 1.0F / (1.0F - drop);
  float* values = mask.data_ptr<float>();
  for (int64_t i = 0; i < mask.numel(); ++i) {
    values[i] = random.NextFloat() < drop ? 0.0F : keep_scale;
  }
  return x * mask.to(x.device(), x.scalar_type());
}

// x·Wᵀ + b; `bias` may be undefined. oneDNN's matrix product in float32 has to be asked for by
// name: at::linear goes to the BLAS, which is the unoptimised reference on a plain Debian and
// fifteen times slower.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  // oneDNN keeps a matrix in its own order only as the weight of a convolution of one pixel.
  if (weight.is_mkldnn()) {
    const at::Tensor pixel = x.reshape({x.size(0), x.size(1), 1, 1});
    return Convolve(Window(), /*groups=*/1, pixel, weight, bias, /*training=*/false).flatten(1);
  }
  const auto shift = [&bias](at::ScalarType type) {
    return bias.defined() ? c10::optional<at::Tensor>(bias.to(type)) : c10::nullopt;
  };
  if (HasOneDnn(x)) {
    return at::mkldnn_linear(x.to_mkldnn(), weight, shift(at::kFloat)).to_dense();
  }
  return at::linear(x, weight.to(x.scalar_type()), shift(x.scalar_type()));
}

at::Tensor Activate(const at::Tensor& x, v1::Activation activation) {
  switch (activation) {
    case v1::ACTIVATION_LEAKY_RELU:
      return at::leaky_relu(x);
    case v1::ACTIVATION_ELU:
      return at::elu(x);
    case v1::ACTIVATION_GELU:
      return at::gelu(x);
    case v1::ACTIVATION_SILU:
      return at::silu(x);
    case v1::ACTIVATION_HARD_SWISH:
      return at::hardswish(x);
    case v1::ACTIVATION_TANH:
      return at::tanh(x);
    case v1::ACTIVATION_SIGMOID:
      return at::sigmoid(x);
    default:
      return at::relu(x);
  }
}

// One way through the network.
class Pass {
 public:
  // `training` is null for inference. `blocks`, if not null, gets what every block gives. `packed`
  // are the network's convolutions, or none.
  Pass(const std::vector<at::Tensor>& tensors, TrainingPass* training,
       std::vector<at::Tensor>* blocks, const PackedConvolutions& packed)
      : next_(tensors.data()), training_(training), blocks_(blocks), packed_(packed) {}

  at::Tensor Run(const std::vector<LayerPlan>& layers, at::Tensor x) {
    bool fresh = false;  // Whether x is a convolution's, which nothing else reads.
    for (const LayerPlan& layer : layers) {
      if (layer.kind() == v1::Layer::kConvolution || !layer.gives_image) EndBlock();
      in_block_ |= layer.kind() == v1::Layer::kConvolution;
      if (fresh && layer.layer.activation() == v1::ACTIVATION_RELU && !x.requires_grad()) {
        if (packed_.empty()) at::relu_(x);
      } else {
        x = Compute(layer, x);
      }
      fresh = layer.kind() == v1::Layer::kConvolution;
      if (in_block_) block_ = x;
    }
    return x;
  }

  void EndBlock() {
    if (blocks_ != nullptr && in_block_) blocks_->push_back(block_);
    in_block_ = false;
  }

 private:
  at::Tensor Compute(const LayerPlan& layer, const at::Tensor& x);
  at::Tensor ComputeConvolution(const LayerPlan& layer, const at::Tensor& x);
  at::Tensor ComputeBatchNorm(double epsilon, const at::Tensor& x);
  at::Tensor ComputeGroupNorm(const v1::GroupNorm& norm, const at::Tensor& x);
  at::Tensor ComputeLayerNorm(double epsilon, const at::Tensor& x);
  at::Tensor ComputePooling(const LayerPlan& layer, const at::Tensor& x);
  at::Tensor ComputeDense(bool bias, const at::Tensor& x);
  at::Tensor ComputeResidual(const LayerPlan& layer, const at::Tensor& x);
  at::Tensor ComputeSqueezeExcitation(const at::Tensor& x);
  at::Tensor ComputeSpatialAttention(const LayerPlan& layer, const at::Tensor& x);

  const at::Tensor& Take() { return *next_++; }
  // The next tensor where there is one, else an undefined one.
  at::Tensor TakeIf(bool there) { return there ? Take() : at::Tensor(); }

  const at::Tensor* next_;
  TrainingPass* const training_;
  std::vector<at::Tensor>* const blocks_;
  const PackedConvolutions& packed_;
  size_t next_packed_ = 0;
  // Whether there was a convolution since the last block, and what is made of it so far.
  bool in_block_ = false;
  at::Tensor block_;
};

at::Tensor Pass::Compute(const LayerPlan& layer, const at::Tensor& x) {
  const v1::Layer& spec = layer.layer;
  switch (layer.kind()) {
    case v1::Layer::kConvolution:
      return ComputeConvolution(layer, x);
    case v1::Layer::kBatchNorm:
      return ComputeBatchNorm(spec.batch_norm().epsilon(), x);
    case v1::Layer::kGroupNorm:
      return ComputeGroupNorm(spec.group_norm(), x);
    case v1::Layer::kLayerNorm:
      return ComputeLayerNorm(spec.layer_norm().epsilon(), x);
    case v1::Layer::kActivation:
      return Activate(x, spec.activation());
    case v1::Layer::kMaxPooling:
    case v1::Layer::kAveragePooling:
      return ComputePooling(layer, x);
    case v1::Layer::kGlobalPooling:
      return spec.global_pooling() == v1::GLOBAL_POOLING_MAX ? x.amax({2, 3}) : x.mean({2, 3});
    case v1::Layer::kDropout:
      if (training_ == nullptr) return x;
      return Drop(x, x.sizes(), spec.dropout().rate(), training_->dropout);
    case v1::Layer::kSpatialDropout:
      if (training_ == nullptr) return x;
      return Drop(x, {x.size(0), x.size(1), 1, 1}, spec.spatial_dropout().rate(),
                  training_->dropout);
    case v1::Layer::kDense:
      return ComputeDense(spec.dense().bias(), x);
    case v1::Layer::kResidual:
      return ComputeResidual(layer, x);
    case v1::Layer::kSqueezeExcitation:
      return ComputeSqueezeExcitation(x);
    case v1::Layer::kSpatialAttention:
      return ComputeSpatialAttention(layer, x);
    case v1::Layer::kFlatten:
      return at::flatten(x, 1);
    case v1::Layer::KIND_NOT_SET:
      break;
  }
  return x;
}

at::Tensor Pass::ComputeConvolution(const LayerPlan& layer, const at::Tensor& x) {
  const v1::Convolution& convolution = layer.layer.convolution();
  const at::Tensor& weight = Take();
  if (!packed_.empty()) {
    next_ += convolution.bias() ? 1 : 0;
    return packed_[next_packed_++]->Run(x);
  }
  return Convolve(layer.window, convolution.groups(), x, weight, TakeIf(convolution.bias()),
                  training_ != nullptr);
}

// In training the running statistics become the batch's.
at::Tensor Pass::ComputeBatchNorm(double epsilon, const at::Tensor& x) {
  const at::Tensor& scale = Take();
  const at::Tensor& shift = Take();
  at::Tensor mean = Take();
  at::Tensor variance = Take();
  const bool training = training_ != nullptr && scale.requires_grad();
  // A single number has no variance to learn from; it would be 0/0.
  if (training && x.numel() == x.size(1)) mean = variance = at::Tensor();
  return at::batch_norm(x, scale, shift, mean, variance, training, /*momentum=*/1, epsilon,
                        /*cudnn_enabled=*/false);
}

at::Tensor Pass::ComputeGroupNorm(const v1::GroupNorm& norm, const at::Tensor& x) {
  const at::Tensor& scale = Take();
  const at::Tensor& shift = Take();
  // With channels last LibTorch 2.6 writes the gradient by its input even where nobody wants one,
  // as by images, and crashes.
  const at::Tensor input = x.requires_grad() ? x : x.contiguous();
  return at::group_norm(input.to(at::kFloat), norm.groups(), scale, shift, norm.epsilon(),
                        /*cudnn_enabled=*/false)
      .to(x.scalar_type());
}

at::Tensor Pass::ComputeLayerNorm(double epsilon, const at::Tensor& x) {
  const at::Tensor& scale = Take();
  const at::Tensor& shift = Take();
  const bool image = x.dim() == 4;
  at::Tensor rows = image ? x.permute({0, 2, 3, 1}) : x;
  rows = at::layer_norm(rows.to(at::kFloat), {x.size(1)}, scale, shift, epsilon,
                        /*cudnn_enable=*/false)
             .to(x.scalar_type());
  return image ? rows.permute({0, 3, 1, 2}) : rows;
}

at::Tensor Pass::ComputePooling(const LayerPlan& layer, const at::Tensor& x) {
  const Window& window = layer.window;
  const std::vector<int64_t> size = {window.height, window.width};
  const std::vector<int64_t> stride = {window.row_stride, window.column_stride};
  const std::vector<int64_t> padding = {window.top, window.left};
  if (layer.kind() == v1::Layer::kMaxPooling) return at::max_pool2d(x, size, stride, padding);
  return at::avg_pool2d(x.to(at::kFloat), size, stride, padding, /*ceil_mode=*/false,
                        /*count_include_pad=*/false)
      .to(x.scalar_type());
}

at::Tensor Pass::ComputeDense(bool bias, const at::Tensor& x) {
  const at::Tensor& weight = Take();
  return Linear(at::flatten(x, 1), weight, TakeIf(bias));
}

at::Tensor Pass::ComputeResidual(const LayerPlan& layer, const at::Tensor& x) {
  at::Tensor shortcut = x;
  if (layer.projects()) {
    shortcut = Convolve(layer.window, /*groups=*/1, x, Take(), {}, training_ != nullptr);
  }
  return Run(layer.body, x) + shortcut;
}

at::Tensor Pass::ComputeSqueezeExcitation(const at::Tensor& x) {
  const at::Tensor* const tensors = next_;
  next_ += 4;
  at::Tensor gates = at::relu(Linear(x.mean({2, 3}), tensors[0], tensors[1]));
  gates = at::sigmoid(Linear(gates, tensors[2], tensors[3]));
  return x * gates.view({x.size(0), x.size(1), 1, 1});
}

at::Tensor Pass::ComputeSpatialAttention(const LayerPlan& layer, const at::Tensor& x) {
  const at::Tensor pooled = at::cat({x.mean({1}, true), x.amax({1}, true)}, 1);
  return x * at::sigmoid(Convolve(layer.window, 1, pooled, Take(), {}, training_ != nullptr));
}

at::Tensor Standardize(const NetworkPlan& plan, const at::Tensor& images) {
  std::vector<float> means;
  std::vector<float> factors;
  for (const ChannelScale& scale : plan.scales) {
    means.push_back(scale.mean);
    factors.push_back(scale.factor);
  }
  const auto by_channel = [&images](const std::vector<float>& numbers) {
    return at::tensor(at::ArrayRef<float>(numbers), at::kFloat)
        .view({1, -1, 1, 1})
        .to(images.device());
  };
  return (images - by_channel(means)) * by_channel(factors);
}

// Both passes in one: `training` is null for inference.
at::Tensor Logits(const NetworkPlan& plan, const std::vector<at::Tensor>& tensors, at::Tensor x,
                  TrainingPass* training, std::vector<at::Tensor>* blocks = nullptr,
                  const PackedConvolutions& packed = {}) {
  if (!plan.scales.empty()) x = Standardize(plan, x);
  if (training != nullptr && training->precision == Precision::kBfloat16) x = x.to(at::kBFloat16);
  Pass pass(tensors, training, blocks, packed);
  return pass.Run(plan.layers, std::move(x)).to(at::kFloat);
}

}  // namespace

at::Device TorchDevice(Device device) {
  return device == Device::kCuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
}

void UseOneTorchThread() {
  if (at::get_num_threads() != 1) at::set_num_threads(1);
  FlushDenormals();
}

at::Tensor GatherImages(const NetworkPlan& plan, const LabeledImages& images,
                        absl::Span<const int32_t> indices) {
  at::Tensor batch = EmptyBatch(plan, static_cast<int64_t>(indices.size()));
  const bool channels_last = ChannelsLast(plan);
  const int64_t size = plan.input.size();
  float* to = batch.data_ptr<float>();
  for (const int32_t index : indices) {
    PlaceImage(plan.input, channels_last, &images.pixels[static_cast<size_t>(index * size)], to);
    to += size;
  }
  return batch;
}

at::Tensor ImagesTensor(const NetworkPlan& plan, absl::Span<const uint8_t> pixels) {
  return BatchOf(plan, pixels);
}

at::Tensor ImagesTensor(const NetworkPlan& plan, absl::Span<const float> pixels) {
  return BatchOf(plan, pixels);
}

at::Tensor GatherLabels(const LabeledImages& images, absl::Span<const int32_t> indices) {
  at::Tensor labels = at::empty({static_cast<int64_t>(indices.size())}, at::kLong);
  int64_t* to = labels.data_ptr<int64_t>();
  for (const int32_t index : indices) *to++ = images.labels[static_cast<size_t>(index)];
  return labels;
}

at::Tensor TrainingLogits(const NetworkPlan& plan, const std::vector<at::Tensor>& tensors,
                          at::Tensor images, TrainingPass pass) {
  return Logits(plan, tensors, std::move(images), &pass);
}

at::Tensor InferenceLogits(const NetworkPlan& plan, const std::vector<at::Tensor>& tensors,
                           at::Tensor images, const PackedConvolutions& packed) {
  return Logits(plan, tensors, std::move(images), nullptr, nullptr, packed);
}

at::Tensor LogitsAndBlocks(const NetworkPlan& plan, const std::vector<at::Tensor>& tensors,
                           at::Tensor images, std::vector<at::Tensor>* blocks) {
  return Logits(plan, tensors, std::move(images), nullptr, blocks);
}

std::vector<at::Tensor> TensorsOf(const TrainedModel& model) {
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& tensor : model.tensors) {
    at::Tensor values = at::tensor(at::ArrayRef<float>(tensor.values), at::kFloat);
    tensors.push_back(values.view(tensor.shape));
  }
  return tensors;
}

std::vector<float> NumbersOf(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().contiguous();
  const float* const values = plain.data_ptr<float>();
  return {values, values + plain.numel()};
}

}  // namespace atelier::models
