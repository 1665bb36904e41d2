// Convolutions made ready for classifying, of every kind and odd size, against LibTorch in double.
#include "models/torch/packed_convolution.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/base/random.h"
#include "models/torch/convolution.h"

namespace atelier::models {
namespace {

// Between -0.5 and 0.5.
at::Tensor Noise(at::IntArrayRef sizes, RandomStream& random) {
  const at::Tensor noise = at::empty(sizes, at::kFloat);
  float* const numbers = noise.data_ptr<float>();
  for (int64_t i = 0; i < noise.numel(); ++i) numbers[i] = random.NextFloat() - 0.5F;
  return noise;
}

int64_t Outputs(int64_t size, int64_t margins, int64_t kernel, int64_t dilation, int64_t stride) {
  const int64_t room = size + margins - (kernel - 1) * dilation;
  return room < 1 ? 0 : (room - 1) / stride + 1;
}

struct Case {
  std::string text;
  LayerPlan layer;
};

LayerPlan Layer(ImageShape input, int64_t filters, int64_t groups, Window window) {
  LayerPlan layer;
  layer.layer.mutable_convolution()->set_groups(static_cast<int32_t>(groups));
  layer.window = window;
  layer.input = input;
  layer.output = {filters,
                  Outputs(input.height, window.top + window.bottom, window.height, window.dilation,
                          window.row_stride),
                  Outputs(input.width, window.left + window.right, window.width, window.dilation,
                          window.column_stride)};
  return layer;
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  const auto add = [&cases](ImageShape input, int64_t filters, int64_t groups, Window window) {
    const LayerPlan layer = Layer(input, filters, groups, window);
    if (layer.output.height < 1 || layer.output.width < 1) return;
    cases.push_back({absl::StrCat(input.channels, "x", input.height, "x", input.width, ", ",
                                  filters, " filters in ", groups, " groups of ", window.height,
                                  "x", window.width, ", stride ", window.row_stride, " and ",
                                  window.column_stride, ", dilation ", window.dilation),
                     layer});
  };
  RandomStream random(7, RandomPurpose::kWeights);
  const auto upto = [&random](int64_t most) {
    return 1 + static_cast<int64_t>(random.NextFloat() * static_cast<float>(most)) % most;
  };
  for (int i = 0; i < 200; ++i) {
    Window window;
    window.height = upto(5);
    window.width = upto(5);
    window.row_stride = upto(3);
    window.column_stride = upto(3);
    window.dilation = upto(2);
    // Margins that leave no window without a pixel of the image.
    window.top = upto(window.height) - 1;
    window.bottom = upto(window.height) - 1;
    window.left = upto(window.width) - 1;
    window.right = upto(window.width) - 1;
    const ImageShape input = {16 * upto(3), upto(20), upto(20)};
    add(input, input.channels, input.channels, window);
    add(input, 8 * upto(5), 1, window);
    window = {};
    window.row_stride = window.column_stride = upto(2);
    add({upto(70), input.height, input.width}, 32 * upto(3), 1, window);
    window = {.height = 3, .width = 3, .top = 1, .bottom = 1, .left = 1, .right = 1};
    add({upto(70), input.height, input.width}, 32 * upto(3), 1, window);
  }
  // On an image of one pixel the tap that counts is not the margin's number.
  add({8, 1, 1}, 32, 1,
      Window{.height = 3, .width = 3, .dilation = 2, .top = 2, .bottom = 2, .left = 2, .right = 2});
  add({17, 5, 5}, 17, 17,
      Window{.height = 3, .width = 3, .top = 1, .bottom = 1, .left = 1, .right = 1});
  return cases;
}

TEST(PackedConvolutionTest, ComputesWhatLibTorchComputesInDouble) {
  const at::InferenceMode inference;
  RandomStream random(8, RandomPurpose::kWeights);
  int packed_ones = 0;
  for (const Case& each : Cases()) {
    const LayerPlan& layer = each.layer;
    const Window& window = layer.window;
    const int64_t groups = layer.layer.convolution().groups();
    const at::Tensor images =
        Noise({3, layer.input.channels, layer.input.height, layer.input.width}, random);
    const at::Tensor weight =
        Noise({layer.output.channels, layer.input.channels / groups, window.height, window.width},
              random);
    const bool biased = random.NextFloat() < 0.5F;
    const bool relu = random.NextFloat() < 0.5F;
    const at::Tensor bias = biased ? Noise({layer.output.channels}, random) : at::Tensor();
    const auto packed = PackedConvolution::Make(layer, weight, bias, relu);
    if (packed == nullptr) continue;
    ++packed_ones;
    at::Tensor expected = Convolve(window, groups, images.to(at::kDouble), weight.to(at::kDouble),
                                   biased ? bias.to(at::kDouble) : bias, /*training=*/true);
    if (relu) expected = at::relu(expected);
    const at::Tensor actual = packed->Run(images);
    ASSERT_EQ(actual.sizes(), expected.sizes()) << each.text;
    // What rounding a sum of so many terms may come to.
    const double terms = static_cast<double>(weight.numel()) / static_cast<double>(weight.size(0));
    EXPECT_LT((actual.to(at::kDouble) - expected).abs().max().item<double>(), 1e-6 + 1e-7 * terms)
        << each.text;
  }
  EXPECT_GT(packed_ones, 100);
}

}  // namespace
}  // namespace atelier::models
