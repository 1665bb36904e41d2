// Finds labels that are likely wrong by confident learning (Northcutt, Jiang and Chuang 2021):
// every image is classified by a small network that was trained on the others, and a label is
// suspicious if the network is surer of another class than it usually is of that class' own images.
#ifndef ATELIER_MODELS_TRAINING_LABEL_CHECK_H_
#define ATELIER_MODELS_TRAINING_LABEL_CHECK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/image_shape.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/training/evaluation.h"

namespace atelier::models {

struct LabelCheckOptions {
  // Parts into which the images are divided, of every class in proportion, 2 to the number of
  // images; of each part a network guesses that was trained on the others.
  int64_t folds = 5;
  // Of the division and the networks.
  uint64_t seed = 0;
  // Results depend on it, as TrainingOptions::shards.
  int64_t threads = 1;
  // May be null.
  const StopSignal* stop = nullptr;
  // Told now and then how many images passed a network, of how many. May be empty.
  std::function<void(int64_t done, int64_t total)> progress = {};
  // Folders with the guesses of folds that are done, which are taken from there: those of earlier
  // checks that lost their process, under the same options. The first is this check's own, to which
  // it writes. Empty: guesses are not kept.
  std::vector<std::string> folders = {};
  // Told a sentence for the log. May be empty.
  std::function<void(const std::string& sentence)> log = {};
};

struct LabelCheck {
  // The most suspicious first; the true class is the given label, the predicted class the guess.
  std::vector<Prediction> suspicious;
  // Images by [given label][guess].
  std::vector<std::vector<int64_t>> confusion;
  // Fraction of the images whose label is guessed.
  double agreement = 0;
};

// Checks the labels of images, at least four, in two classes or more. Holds a copy of the images,
// and a probability for each image and class, those of a fold three times. The errors of Trainer;
// kCancelled.
absl::StatusOr<LabelCheck> CheckLabels(const LabeledImages& images, const ImageShape& shape,
                                       const std::vector<std::string>& class_names,
                                       const LabelCheckOptions& options);

// The part of CheckLabels that follows the networks. `probabilities` has a row for each image, of
// its classes as a network saw them that was not trained on it.
LabelCheck FindSuspiciousLabels(const LabeledImages& images, int64_t classes,
                                absl::Span<const float> probabilities);

// The fold of each image: of every class in proportion, the seed chooses which.
std::vector<int64_t> DivideIntoFolds(const LabeledImages& images, int64_t classes, int64_t folds,
                                     uint64_t seed);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_LABEL_CHECK_H_
