// Real but small: a few hundred Fashion-MNIST images and a network that learns them in a blink.
#ifndef ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_
#define ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "models/data/dataset.h"
#include "models/network/training_options.h"

namespace atelier::models {

inline LabeledImages FirstImages(const Dataset& dataset, SplitName name, int64_t count) {
  const LabeledImages& all = dataset.split(name);
  using Bytes = std::vector<uint8_t>;
  return {Bytes(all.pixels.begin(), all.pixels.begin() + count * dataset.shape().size()),
          Bytes(all.labels.begin(), all.labels.begin() + count)};
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

// Three conv blocks and a dense layer, with everything that a preset has; 900 images in 15 steps,
// the last of them of 4 images.
inline TrainingOptions SmallOptions() {
  TrainingOptions options;
  options.architecture.name = "small";
  options.architecture.input = {1, 28, 28};
  options.architecture.classes = 10;
  options.architecture.conv_blocks = {{4, 4, 2}, {8}, {8, 0, 0, 1}};
  options.architecture.dense_layers = {16};
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
  ConvBlock wide;
  wide.filters = 8;
  wide.kernel_height = wide.kernel_width = 5;
  wide.stride = 2;
  ConvBlock depthwise;
  depthwise.filters = 8;
  depthwise.groups = 8;
  depthwise.pool = 2;
  ConvBlock pointwise;
  pointwise.filters = 16;
  pointwise.kernel_height = pointwise.kernel_width = 1;
  options.architecture.name = "general";
  options.architecture.conv_blocks = {wide, depthwise, pointwise};
  return options;
}

// A training that the kernels compute, the same by LibTorch, and one that only LibTorch computes:
// tests of what holds on both paths run with each.
struct PathCase {
  const char* name;
  TrainingOptions options;
};

inline std::vector<PathCase> AllPaths() {
  TrainingOptions forced = SmallOptions();
  forced.path_choice = PathChoice::kLibTorch;
  return {{"Kernels", SmallOptions()}, {"LibTorch", forced}, {"General", GeneralOptions()}};
}

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_
