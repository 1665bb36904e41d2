// Real but small: a few hundred Fashion-MNIST images and a network that learns them in a blink.
#ifndef ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_
#define ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_

#include <cstdint>
#include <memory>
#include <utility>

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

}  // namespace atelier::models

#endif  // ATELIER_TESTS_UNIT_MODELS_SMALL_TRAINING_H_
