#include "models/kernels/packed_shard.h"

#include <algorithm>
#include <cmath>

#include "models/kernels/coverage.h"
#include "models/kernels/packed_image.h"

namespace atelier::models {
namespace {

// Whether a layer's values after ReLU are kept for the passes after the first. With few input
// channels there are many values and little to compute: doing that again, a few rows at a time that
// never leave the nearest cache, takes less time than fetching them. Without pooling they are the
// winners too.
bool KeepsValues(const PackedConvLayer& layer) {
  return layer.transformed >= 0 || layer.pool.pool == 1;
}

// Rows of a layer's values that are there at a time: whole windows, four rows at least.
int64_t RowsAtOnce(const PackedConvLayer& layer) {
  if (KeepsValues(layer)) return layer.shape.height;
  return (3 / layer.pool.pool + 1) * layer.pool.pool;
}

}  // namespace

PackedShard::ConvState::ConvState(const PackedConvLayer& layer, int64_t max_images, bool last)
    : input(max_images * layer.input_size()),
      values((KeepsValues(layer) ? max_images : 1) * RowsAtOnce(layer) * layer.shape.width *
             layer.shape.outputs),
      winners(layer.pool.pool > 1 ? max_images * layer.pool.pooled_size() : 0),
      gradient(last ? 0 : max_images * layer.pool.pooled_size()),
      output_gradient(layer.shape.padded_size(layer.shape.outputs)) {
  const int64_t outputs = layer.shape.outputs;
  for (std::vector<double>* list : {&sums, &products, &mean, &inverse_deviation}) {
    list->resize(static_cast<size_t>(outputs));
  }
  for (FloatBuffer* buffer : {&scale, &shift, &slope, &offset}) *buffer = FloatBuffer(outputs);
  if (layer.squeezes()) squeeze.emplace(layer, max_images, SqueezeExcitation::Use::kTraining);
}

PackedShard::PackedShard(const TrainingOptions& options, const PackedLayout& layout,
                         const LabeledImages& images, const float* parameters, const float* derived,
                         int64_t max_images)
    : layout_(layout),
      images_(images),
      parameters_(parameters),
      derived_(derived),
      epsilon_(layout.network().shape.batch_norm_epsilon),
      augmentation_(options.augmentation),
      input_shape_(options.architecture.input),
      augmented_(static_cast<size_t>(input_shape_.size())),
      gradients_(layout.parameters()),
      statistics_(static_cast<size_t>(layout.statistics())),
      average_(layout.averages() ? layout.features() : 0),
      head_(options, layout, images, parameters, derived, max_images) {
  RequireCovered(KernelsCoverTraining(options.architecture, options.precision, options.device,
                                      options.freeze));
  for (const PackedConvLayer& layer : layout.conv_layers()) {
    conv_.emplace_back(layer, max_images, &layer == &layout.conv_layers().back());
    if (layer.transformed < 0) continue;
    conv_.back().convolution =
        ShardConvolution::Create(layer, layout.precision(), derived, max_images);
  }
  if (layout.averages()) {
    const int64_t size = max_images * layout.conv_layers().back().pool.pooled_size();
    last_output_ = FloatBuffer(size);
    last_gradient_ = FloatBuffer(size);
  }
}

PassResult PackedShard::Run(absl::Span<const int32_t> indices, int64_t batch,
                            RandomStream& random) {
  profile_.Start();
  count_ = static_cast<int64_t>(indices.size());
  LoadImages(indices, random);
  profile_.Lap(StepPart::kImages);
  for (size_t i = 0; i < conv_.size(); ++i) ConvForward(i);
  for (int64_t image = 0; !conv_.empty() && image < count_; ++image) {
    FinishImage(conv_.size() - 1, image);
  }
  if (layout_.averages()) AverageFeatures();
  profile_.Lap(StepPart::kNormalization);
  head_.Forward(count_, random);
  profile_.Lap(StepPart::kDense);
  const PassResult result = head_.Loss(indices, batch);
  profile_.Lap(StepPart::kLoss);
  head_.Backward(count_, gradients_.data());
  profile_.Lap(StepPart::kDenseGradient);
  if (layout_.averages()) SpreadFeatureGradients();
  for (int64_t image = 0; !conv_.empty() && image < count_; ++image) {
    AddGradientSums(conv_.size() - 1, image);
  }
  for (size_t i = conv_.size(); i-- > 0;) ConvBackward(i);
  return result;
}

void PackedShard::LoadImages(absl::Span<const int32_t> indices, RandomStream& random) {
  float* to = conv_.empty() ? head_.features() : conv_[0].input.data();
  const int64_t size =
      conv_.empty() ? layout_.features() : layout_.conv_layers().front().input_size();
  for (const int32_t index : indices) {
    const uint8_t* pixels = &images_.pixels[static_cast<size_t>(index * input_shape_.size())];
    if (augmentation_.any()) {
      Augment(augmentation_, input_shape_, pixels, random, augmented_.data());
      pixels = augmented_.data();
    }
    PlacePixels(layout_, input_shape_, pixels, to);
    to += size;
  }
}

void PackedShard::ConvForward(size_t i) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  ConvState& state = conv_[i];
  std::fill(state.sums.begin(), state.sums.end(), 0.0);
  std::fill(state.products.begin(), state.products.end(), 0.0);
  for (int64_t image = 0; image < count_; ++image) {
    // The block before, so that the image is still in the cache.
    if (i > 0) FinishImage(i - 1, image);
    profile_.Lap(StepPart::kNormalization);
    if (KeepsValues(layer)) {
      Convolve(i, image, 0, layer.shape.height, state.values.data() + image * layer.output_size());
    }
    profile_.Lap(StepPart::kConvolution);
    ForEachRows(i, image, [&](const Rows& rows) {
      AddSums(rows.shape.height * rows.shape.width, rows.shape.channels, rows.values,
              state.sums.data(), state.products.data());
    });
  }
  FinishStatistics(i);
}

void PackedShard::Convolve(size_t i, int64_t image, int64_t first, int64_t rows, float* values) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  const float* input = conv_[i].input.data() + image * layer.input_size() +
                       first * layer.shape.padded_row(layer.shape.inputs);
  const float* bias = parameters_ + layer.bias;
  if (conv_[i].convolution) return conv_[i].convolution->Forward(image, input, bias, values);
  ConvolutionShape shape = layer.shape;
  shape.height = rows;
  models::Convolve(shape, input, parameters_ + layer.weights, bias, Activation::kRelu, values);
}

template <typename Use>
void PackedShard::ForEachRows(size_t i, int64_t image, const Use& use) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  float* const values = conv_[i].values.data();
  Rows rows = {0, layer.map_shape(), values};
  if (KeepsValues(layer)) {
    rows.values += image * layer.output_size();
    return use(rows);
  }
  const int64_t at_once = RowsAtOnce(layer);
  for (; rows.first < layer.shape.height; rows.first += at_once) {
    rows.shape.height = std::min(at_once, layer.shape.height - rows.first);
    Convolve(i, image, rows.first, rows.shape.height, values);
    use(rows);
  }
}

float* PackedShard::Output(size_t i, int64_t image) {
  if (i + 1 == conv_.size()) {
    float* const last = layout_.averages() ? last_output_.data() : head_.features();
    return last + image * layout_.conv_layers()[i].pool.pooled_size();
  }
  const PackedConvLayer& next = layout_.conv_layers()[i + 1];
  return conv_[i + 1].input.data() + image * next.input_size() + next.past_border();
}

float* PackedShard::Map(size_t i, int64_t image) {
  return conv_[i].squeeze ? conv_[i].squeeze->map(image) : Output(i, image);
}

const float* PackedShard::OutputGradient(size_t i, int64_t image) {
  const float* gradient = conv_[i].gradient.data();
  if (i + 1 == conv_.size()) {
    gradient = layout_.averages() ? last_gradient_.data() : head_.features_gradient();
  }
  return gradient + image * layout_.conv_layers()[i].pool.pooled_size();
}

const float* PackedShard::MapGradient(size_t i, int64_t image) {
  return conv_[i].squeeze ? conv_[i].squeeze->map_gradient(image) : OutputGradient(i, image);
}

void PackedShard::FinishImage(size_t i, int64_t image) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  ConvState& state = conv_[i];
  ForEachRows(i, image, [&](const Rows& rows) {
    const int64_t winners = image * layer.pool.pooled_size() + rows.pooled_offset();
    NormalizeAndPool(rows.shape, rows.values, state.scale.data(), state.shift.data(),
                     layer.pool.pool > 1 ? state.winners.data() + winners : nullptr,
                     Map(i, image) + rows.map_offset());
  });
  float* const output = Output(i, image);
  const float* const skipped = layer.skip > 0 ? Output(i - layer.skip, image) : nullptr;
  FinishOutput(layout_, i, parameters_, image, state.squeeze, skipped, output);
}

void PackedShard::AverageFeatures() {
  const PoolShape& pool = layout_.conv_layers().back().pool;
  for (int64_t image = 0; image < count_; ++image) {
    average_.Compute(pool.pooled_pixels(), Output(conv_.size() - 1, image),
                     head_.features() + image * pool.channels);
  }
}

void PackedShard::SpreadFeatureGradients() {
  const PoolShape& pool = layout_.conv_layers().back().pool;
  const int64_t pixels = pool.pooled_pixels();
  for (int64_t image = 0; image < count_; ++image) {
    const float* from = head_.features_gradient() + image * pool.channels;
    float* to = last_gradient_.data() + image * pixels * pool.channels;
    for (int64_t i = 0; i < pixels * pool.channels; ++i) {
      to[i] = from[i % pool.channels] / static_cast<float>(pixels);
    }
  }
}

void PackedShard::FinishStatistics(size_t i) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  ConvState& state = conv_[i];
  const auto pixels = static_cast<double>(count_ * layer.pixels());
  float* const statistics = statistics_.data() + layer.statistics;
  for (int64_t c = 0; c < layer.shape.outputs; ++c) {
    const auto at = static_cast<size_t>(c);
    const double mean = state.sums[at] / pixels;
    const double variance = std::max(0.0, state.products[at] / pixels - mean * mean);
    const double inverse = 1 / std::sqrt(variance + epsilon_);
    const double scale = static_cast<double>(parameters_[layer.scale + c]) * inverse;
    state.mean[at] = mean;
    state.inverse_deviation[at] = inverse;
    state.scale.data()[c] = static_cast<float>(scale);
    state.shift.data()[c] =
        static_cast<float>(static_cast<double>(parameters_[layer.shift + c]) - mean * scale);
    // A single number has no variance to learn from; it would be 0/0.
    if (c >= layer.filters || pixels < 2) continue;
    statistics[c] = static_cast<float>(mean);
    statistics[layer.filters + c] = static_cast<float>(variance * pixels / (pixels - 1));
  }
}

void PackedShard::AddGradientSums(size_t i, int64_t image) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  ConvState& state = conv_[i];
  if (image == 0) {
    std::fill(state.sums.begin(), state.sums.end(), 0.0);
    std::fill(state.products.begin(), state.products.end(), 0.0);
  }
  if (state.squeeze) state.squeeze->Backward(derived_, image, OutputGradient(i, image));
  const FloatBuffer& winners = layer.pool.pool > 1 ? state.winners : state.values;
  AddProducts(layer.pool.pooled_pixels(), layer.shape.outputs, MapGradient(i, image),
              winners.data() + image * layer.pool.pooled_size(), state.sums.data(),
              state.products.data());
}

void PackedShard::FinishGradientSums(size_t i) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  ConvState& state = conv_[i];
  const auto pixels = static_cast<double>(count_ * layer.pixels());
  for (int64_t c = 0; c < layer.shape.outputs; ++c) {
    const auto at = static_cast<size_t>(c);
    const double inverse = state.inverse_deviation[at];
    // Of gradient · normalised value.
    const double product = (state.products[at] - state.mean[at] * state.sums[at]) * inverse;
    gradients_.data()[layer.scale + c] = static_cast<float>(product);
    gradients_.data()[layer.shift + c] = static_cast<float>(state.sums[at]);
    const double scale = static_cast<double>(parameters_[layer.scale + c]) * inverse;
    const double slope = -scale * inverse * product / pixels;
    state.slope.data()[c] = static_cast<float>(slope);
    state.offset.data()[c] =
        static_cast<float>(-scale * state.sums[at] / pixels - slope * state.mean[at]);
  }
}

void PackedShard::BackThroughConvolution(size_t i, int64_t image) {
  const int64_t size = layout_.conv_layers()[i - 1].pool.pooled_size();
  float* const input_gradient = conv_[i - 1].gradient.data() + image * size;
  conv_[i].convolution->BackToInput(conv_[i].output_gradient.data(), input_gradient);
  // And from the blocks that skip to there.
  for (size_t later = i; later < conv_.size(); ++later) {
    if (layout_.conv_layers()[later].skip != later - (i - 1)) continue;
    AddRows(1, size, OutputGradient(later, image), size, input_gradient, size);
  }
}

void PackedShard::ConvBackward(size_t i) {
  const PackedConvLayer& layer = layout_.conv_layers()[i];
  ConvState& state = conv_[i];
  FinishGradientSums(i);
  float* const weights = gradients_.data() + layer.weights;
  float* const bias = gradients_.data() + layer.bias;
  if (!state.convolution) std::fill_n(weights, 9 * layer.shape.inputs * layer.shape.outputs, 0.0F);
  std::fill_n(bias, layer.shape.outputs, 0.0F);
  const NormGradient norm = {state.scale.data(), state.shift.data(), state.slope.data(),
                             state.offset.data()};
  for (int64_t image = 0; image < count_; ++image) {
    ForEachRows(i, image, [&](const Rows& rows) {
      float* const output_gradient =
          state.output_gradient.data() + rows.first * layer.shape.padded_row(layer.shape.outputs);
      BackThroughPoolNormRelu(rows.shape, norm, rows.values, Map(i, image) + rows.map_offset(),
                              MapGradient(i, image) + rows.pooled_offset(), output_gradient, bias);
      profile_.Lap(StepPart::kNormalizationGradient);
      if (state.convolution) return;
      ConvolutionShape shape = layer.shape;
      shape.height = rows.shape.height;
      AddWeightGradient(shape,
                        state.input.data() + image * layer.input_size() +
                            rows.first * layer.shape.padded_row(layer.shape.inputs),
                        output_gradient, weights);
      profile_.Lap(StepPart::kConvolutionWeightGradient);
    });
    if (state.convolution) {
      state.convolution->AddToWeightGradient(image, count_ - 1,
                                             state.input.data() + image * layer.input_size(),
                                             state.output_gradient.data(), weights);
      profile_.Lap(StepPart::kConvolutionWeightGradient);
    }
    if (i == 0) continue;
    BackThroughConvolution(i, image);
    profile_.Lap(StepPart::kConvolutionInputGradient);
    AddGradientSums(i - 1, image);
  }
  if (state.squeeze) state.squeeze->WriteGradients(count_, gradients_.data());
}

}  // namespace atelier::models
