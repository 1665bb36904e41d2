// Real but small: a few hundred Fashion-MNIST images and a network that learns them in a blink.
#ifndef ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_
#define ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "models/base/random.h"
#include "models/data/dataset.h"
#include "models/network/block_network.h"
#include "models/network/training_options.h"

namespace atelier::models {

inline LabeledImages FirstImages(const Dataset& dataset, SplitName name, int64_t count) {
  const LabeledImages& all = dataset.split(name);
  using Bytes = std::vector<uint8_t>;
  return {Bytes(all.pixels.begin(), all.pixels.begin() + count * dataset.shape().size()),
          std::vector<ClassLabel>(all.labels.begin(), all.labels.begin() + count)};
}

// The first 1,000 training and 300 test images.
inline std::shared_ptr<const Dataset> SmallDataset() {
  static const auto* dataset = [] {
    const auto all = Dataset::Load("/usr/share/datasets/fashion-mnist").value();
    return new std::shared_ptr<const Dataset>(
        Dataset::Create(all->shape(), all->class_names(),
                        FirstImages(*all, SplitName::kTraining, 1000),
                        FirstImages(*all, SplitName::kTest, 300))
            .value());
  }();
  return *dataset;
}

// Images without equal neighbours.
inline LabeledImages NoisyImages(ImageShape shape, int64_t classes, int64_t count) {
  std::vector<uint8_t> pixels;
  std::vector<ClassLabel> labels;
  RandomStream random(7, RandomPurpose::kWeights);
  for (int64_t i = 0; i < count * shape.size(); ++i) {
    pixels.push_back(static_cast<uint8_t>(random.NextBelow(256)));
  }
  for (int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<ClassLabel>(random.NextBelow(static_cast<uint64_t>(classes))));
  }
  return {std::move(pixels), std::move(labels)};
}

// 0, 1, 2 and so on.
inline std::vector<int32_t> FirstIndices(int32_t count) {
  std::vector<int32_t> indices(static_cast<size_t>(count));
  std::iota(indices.begin(), indices.end(), 0);
  return indices;
}

// A network as protobuf text, such as `layers { dense { units: 3 } }`.
inline v1::Network NetworkOf(const std::string& text) {
  v1::Network network;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &network)) << text;
  return network;
}

inline BlockNetwork SmallBlocks() {
  BlockNetwork blocks;
  blocks.blocks = {{4, 4, 2}, {8}, {8, 0, 0, 1}};
  blocks.dense_layers = {16};
  return blocks;
}

// Three conv blocks and a dense layer, with everything that a preset has; 900 images in 15 steps,
// the last of them of 4 images.
inline TrainingOptions SmallOptions() {
  TrainingOptions options;
  options.architecture.network = SmallBlocks().ToNetwork("small");
  options.architecture.input = {1, 28, 28};
  options.architecture.classes = 10;
  options.architecture.dropout = 0.3;
  options.learning_rate = 0.003;
  options.epochs = 3;
  options.batch_size = 64;
  options.seed = 11;
  options.shards = 2;
  return options;
}

// The same of a network that only LibTorch computes: a kernel of 5×5 with stride 2, a depthwise
// convolution, one of single pixels.
inline TrainingOptions GeneralOptions() {
  TrainingOptions options = SmallOptions();
  options.architecture.network = NetworkOf(R"(
    name: "general"
    layers { convolution { filters: 8 kernel: 5 stride: 2 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm {} }
    layers { convolution { filters: 8 groups: 8 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm {} }
    layers { max_pooling {} }
    layers { convolution { filters: 16 kernel: 1 } }
    layers { activation: ACTIVATION_RELU }
    layers { batch_norm {} }
    layers { dense { units: 16 } }
    layers { activation: ACTIVATION_RELU }
    layers { dropout {} })");
  return options;
}

// The same of a network with every kind of layer that there is.
inline TrainingOptions EverythingOptions() {
  TrainingOptions options = SmallOptions();
  options.architecture.network = NetworkOf(R"(
    name: "everything"
    layers { convolution { filters: 8 kernel: 4 kernel_width: 5 stride: 2 bias: false } }
    layers { batch_norm {} }
    layers { activation: ACTIVATION_SILU }
    layers { spatial_dropout {} }
    layers { residual {
      layers { convolution { filters: 12 dilation: 2 groups: 4 } }
      layers { group_norm { groups: 3 } }
      layers { activation: ACTIVATION_GELU }
      layers { residual {
        layers { max_pooling { size: 3 stride: 2 padding: PADDING_SAME } }
        layers { layer_norm {} }
      } }
      layers { squeeze_excitation { reduction: 4 } }
    } }
    layers { activation: ACTIVATION_HARD_SWISH }
    layers { spatial_attention { kernel: 5 } }
    layers { average_pooling { size: 3 size_width: 2 stride: 1 } }
    layers { residual {
      layers { convolution { filters: 24 kernel: 1 padding: PADDING_VALID } }
      layers { activation: ACTIVATION_LEAKY_RELU }
    } }
    layers { global_pooling: GLOBAL_POOLING_MAX }
    layers { flatten {} }
    layers { dense { units: 24 bias: false } }
    layers { batch_norm { momentum: 0.05 } }
    layers { activation: ACTIVATION_ELU }
    layers { dropout {} }
    layers { residual {
      layers { dense { units: 24 } }
      layers { activation: ACTIVATION_TANH }
      layers { group_norm { groups: 4 } }
      layers { activation: ACTIVATION_SIGMOID }
    } }
    layers { layer_norm { epsilon: 0.001 } }
    layers { activation: ACTIVATION_RELU })");
  return options;
}

// A training that the kernels compute, the same by LibTorch, and two that only LibTorch computes:
// tests of what holds on both paths run with each. The kernels once more in bfloat16 where the
// processor has it.
struct PathCase {
  const char* name;
  TrainingOptions options;
};

inline std::vector<PathCase> AllPaths() {
  TrainingOptions forced = SmallOptions();
  forced.path_choice = PathChoice::kLibTorch;
  std::vector<PathCase> cases = {{"Kernels", SmallOptions()},
                                 {"LibTorch", forced},
                                 {"General", GeneralOptions()},
                                 {"Everything", EverythingOptions()}};
  if (Bfloat16Supported()) {
    cases.push_back({"KernelsInBfloat16", SmallOptions()});
    cases.back().options.precision = Precision::kBfloat16;
  }
  return cases;
}

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_
