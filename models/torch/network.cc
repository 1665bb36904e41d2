#include "models/torch/network.h"

#include <utility>

#include "models/base/pixel_span.h"

namespace atelier::models {
namespace {

bool ChannelsLast(const Architecture& architecture) { return !architecture.conv_blocks.empty(); }

at::Tensor EmptyBatch(const Architecture& architecture, int64_t count) {
  const ImageShape& shape = architecture.input;
  return at::empty({count, shape.channels, shape.height, shape.width},
                   at::TensorOptions(at::kFloat)
                       .memory_format(ChannelsLast(architecture) ? at::MemoryFormat::ChannelsLast
                                                                 : at::MemoryFormat::Contiguous));
}

// Writes one C×H×W image into a batch.
template <typename Pixel>
void PlaceImage(const Architecture& architecture, const Pixel* from, float* to) {
  const int64_t channels = architecture.input.channels;
  const int64_t plane = architecture.input.height * architecture.input.width;
  const int64_t pixel_step = ChannelsLast(architecture) ? channels : 1;
  const int64_t channel_step = ChannelsLast(architecture) ? 1 : plane;
  for (int64_t c = 0; c < channels; ++c) {
    float* out = to + c * channel_step;
    for (int64_t i = 0; i < plane; ++i) out[i * pixel_step] = ToUnit(from[c * plane + i]);
  }
}

template <typename Pixel>
at::Tensor BatchOf(const Architecture& architecture, absl::Span<const Pixel> pixels) {
  const int64_t size = architecture.input.size();
  const int64_t count = static_cast<int64_t>(pixels.size()) / size;
  at::Tensor batch = EmptyBatch(architecture, count);
  float* to = batch.data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    PlaceImage(architecture, pixels.data() + i * size, to + i * size);
  }
  return batch;
}

bool HasOneDnn(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && at::Context::hasMKLDNN() &&
         at::globalContext().userEnabledMkldnn();
}

// A block's convolution. For single images at::conv2d would leave oneDNN for a loop five times
// slower; training has none, and needs at::conv2d's backward.
at::Tensor Convolve(const ConvBlock& block, at::Tensor x, const at::Tensor& weight,
                    const at::Tensor& bias, bool training) {
  const Padding around = block.padding();
  std::vector<int64_t> padding = {around.top, around.left};
  // LibTorch's convolutions pad opposite sides alike.
  if (!around.symmetric()) {
    x = at::constant_pad_nd(x, {around.left, around.right, around.top, around.bottom});
    padding = {0, 0};
  }
  const std::vector<int64_t> stride = {block.stride, block.stride};
  if (!training && HasOneDnn(x)) {
    return at::mkldnn_convolution(x, weight, bias, padding, stride, /*dilation=*/{1, 1},
                                  block.groups);
  }
  return at::conv2d(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()), stride, padding,
                    /*dilation=*/1, block.groups);
}

// Inverted dropout. Not at::dropout, which takes no generator.
at::Tensor Dropout(const at::Tensor& x, double rate, RandomStream& random) {
  if (rate == 0) return x;
  at::Tensor mask = at::empty(x.sizes(), at::kFloat);
  const auto drop = static_cast<float>(rate);
  const float keep_scale = 1.0F / (1.0F - drop);
  float* values = mask.data_ptr<float>();
  for (int64_t i = 0; i < mask.numel(); ++i) {
    values[i] = random.NextFloat() < drop ? 0.0F : keep_scale;
  }
  return x * mask.to(x.device(), x.scalar_type());
}

// x·Wᵀ + b. oneDNN's matrix product in float32 has to be asked for by name: at::linear goes to the
// BLAS, which is the unoptimised reference on a plain Debian and fifteen times slower.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (HasOneDnn(x)) {
    return at::mkldnn_linear(x.to_mkldnn(), weight, bias).to_dense();
  }
  return at::linear(x, weight.to(x.scalar_type()), bias.to(x.scalar_type()));
}

// In training the running statistics become the batch's.
at::Tensor BatchNorm(const at::Tensor& x, const at::Tensor* tensors, bool training,
                     double epsilon) {
  at::Tensor mean = tensors[2];
  at::Tensor variance = tensors[3];
  // A single number has no variance to learn from; it would be 0/0.
  if (training && x.numel() == x.size(1)) mean = variance = at::Tensor();
  return at::batch_norm(x, tensors[0], tensors[1], mean, variance, training,
                        /*momentum=*/1, epsilon,
                        /*cudnn_enabled=*/false);
}

// Squeeze and excitation: `tensors` are the two dense layers'.
at::Tensor ScaleChannels(const at::Tensor& x, const at::Tensor* tensors) {
  at::Tensor gates = at::relu(Linear(x.mean({2, 3}), tensors[0], tensors[1]));
  gates = at::sigmoid(Linear(gates, tensors[2], tensors[3]));
  return x * gates.view({x.size(0), x.size(1), 1, 1});
}

// Both passes in one: `pass` is null for inference. `maps`, if not null, gets what every block
// gives.
at::Tensor Logits(const Architecture& architecture, const std::vector<at::Tensor>& tensors,
                  at::Tensor x, TrainingPass* pass, std::vector<at::Tensor>* maps = nullptr) {
  const bool training = pass != nullptr;
  if (training && pass->precision == Precision::kBfloat16) x = x.to(at::kBFloat16);
  const at::Tensor* next = tensors.data();
  std::vector<at::Tensor> outputs;
  for (const ConvBlock& block : architecture.conv_blocks) {
    x = Convolve(block, x, next[0], next[1], training);
    x = BatchNorm(at::relu(x), next + 2, training, architecture.batch_norm_epsilon);
    if (block.pool >= 2) x = at::max_pool2d(x, {block.pool, block.pool});
    next += 6;
    if (block.squeeze > 0) {
      x = ScaleChannels(x, next);
      next += 4;
    }
    if (block.skip > 0) x = x + outputs[outputs.size() - static_cast<size_t>(block.skip)];
    outputs.push_back(x);
  }
  if (maps != nullptr) *maps = outputs;
  if (architecture.average_features) x = x.mean({2, 3});
  x = at::flatten(x, 1);
  for (size_t i = 0; i < architecture.dense_layers.size(); ++i) {
    x = at::relu(Linear(x, next[0], next[1]));
    if (training) x = Dropout(x, architecture.dropout, pass->dropout);
    next += 2;
  }
  return Linear(x, next[0], next[1]).to(at::kFloat);
}

}  // namespace

bool CudaAvailable() { return at::detail::getCUDAHooks().getNumGPUs() > 0; }

at::Device TorchDevice(Device device) {
  return device == Device::kCuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
}

void UseOneTorchThread() {
  if (at::get_num_threads() != 1) at::set_num_threads(1);
  at::globalContext().setFlushDenormal(true);
}

at::Tensor GatherImages(const Architecture& architecture, const LabeledImages& images,
                        absl::Span<const int32_t> indices) {
  at::Tensor batch = EmptyBatch(architecture, static_cast<int64_t>(indices.size()));
  float* to = batch.data_ptr<float>();
  for (const int32_t index : indices) {
    PlaceImage(architecture, &images.pixels[static_cast<size_t>(index * architecture.input.size())],
               to);
    to += architecture.input.size();
  }
  return batch;
}

at::Tensor ImagesTensor(const Architecture& architecture, absl::Span<const uint8_t> pixels) {
  return BatchOf(architecture, pixels);
}

at::Tensor ImagesTensor(const Architecture& architecture, absl::Span<const float> pixels) {
  return BatchOf(architecture, pixels);
}

at::Tensor GatherLabels(const LabeledImages& images, absl::Span<const int32_t> indices) {
  at::Tensor labels = at::empty({static_cast<int64_t>(indices.size())}, at::kLong);
  int64_t* to = labels.data_ptr<int64_t>();
  for (const int32_t index : indices) *to++ = images.labels[static_cast<size_t>(index)];
  return labels;
}

at::Tensor TrainingLogits(const Architecture& architecture, const std::vector<at::Tensor>& tensors,
                          at::Tensor images, TrainingPass pass) {
  return Logits(architecture, tensors, std::move(images), &pass);
}

at::Tensor InferenceLogits(const Architecture& architecture, const std::vector<at::Tensor>& tensors,
                           at::Tensor images) {
  return Logits(architecture, tensors, std::move(images), nullptr);
}

std::vector<at::Tensor> BlockOutputs(const Architecture& architecture,
                                     const std::vector<at::Tensor>& tensors, at::Tensor images) {
  std::vector<at::Tensor> maps;
  Logits(architecture, tensors, std::move(images), nullptr, &maps);
  return maps;
}

std::vector<at::Tensor> TensorsOf(const TrainedModel& model) {
  std::vector<at::Tensor> tensors;
  for (const NamedTensor& tensor : model.tensors) {
    at::Tensor values = at::tensor(at::ArrayRef<float>(tensor.values), at::kFloat);
    tensors.push_back(values.view(tensor.shape));
  }
  return tensors;
}

}  // namespace atelier::models
