// Model archives of the smallest networks there are.
#ifndef ATELIER_TESTS_UNIT_SERVING_TINY_ARCHIVE_H_
#define ATELIER_TESTS_UNIT_SERVING_TINY_ARCHIVE_H_

#include <string>
#include <utility>
#include <vector>

#include "models/archive/model_archive.h"
#include "models/network/block_network.h"

namespace atelier::serving {

inline constexpr std::int64_t kTinyClasses = 3;

// An archive of any network, with classes called "shirt", "bag", "boot" and so on.
inline absl::StatusOr<models::ArchiveInfo> WriteArchive(const std::string& path,
                                                        const models::TrainedModel& model) {
  const auto count = static_cast<std::size_t>(model.architecture.classes);
  std::vector<std::string> classes = {"shirt", "bag", "boot"};
  while (classes.size() < count) classes.push_back("class " + std::to_string(classes.size()));
  models::TrainingOptions options;
  options.architecture = model.architecture;
  const models::TrainingOutcome outcome;
  models::Evaluation evaluation;
  evaluation.confusion.assign(count, std::vector<std::int64_t>(count));
  evaluation.class_metrics.resize(count);
  return models::WriteModelArchive(
      path, {model, classes, options, outcome, evaluation, "small", "checksum", "jobs/a", "1"});
}

// A dense network for 1×2×2 images without weights: it gives every class the same probability.
inline absl::StatusOr<models::ArchiveInfo> WriteTinyArchive(const std::string& path) {
  const auto tensor = [](std::string name, std::vector<std::int64_t> shape) {
    std::size_t size = 1;
    for (const std::int64_t extent : shape) size *= static_cast<std::size_t>(extent);
    return models::NamedTensor{std::move(name), std::move(shape), std::vector<float>(size)};
  };
  models::TrainedModel model;
  model.architecture.input = {1, 2, 2};
  model.architecture.classes = kTinyClasses;
  model.architecture.network = models::BlockNetwork{{}, {2}}.ToNetwork("");
  model.tensors = {tensor("dense1.weight", {2, 4}), tensor("dense1.bias", {2}),
                   tensor("output.weight", {kTinyClasses, 2}),
                   tensor("output.bias", {kTinyClasses})};
  return WriteArchive(path, model);
}

// A network of two blocks for 1×4×4 images: 2 filters and pooling, then 3 filters.
inline models::TrainedModel TinyConvolutions(std::uint64_t seed = 1) {
  models::Architecture architecture;
  architecture.network = models::BlockNetwork{{{2, 2}, {3, 0}}, {}}.ToNetwork("tiny");
  architecture.input = {1, 4, 4};
  architecture.classes = kTinyClasses;
  return models::TrainedModel::Initial(architecture, seed);
}

}  // namespace atelier::serving

#endif  // ATELIER_TESTS_UNIT_SERVING_TINY_ARCHIVE_H_
