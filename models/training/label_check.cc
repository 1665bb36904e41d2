#include "models/training/label_check.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/base/class_label.h"
#include "models/base/exception_guard.h"
#include "models/base/failure.h"
#include "models/base/random.h"
#include "models/base/thread_team.h"
#include "models/compute/compile.h"
#include "models/files/sha256.h"
#include "models/network/training_options.h"
#include "models/training/fold_file.h"
#include "models/training/scoring.h"
#include "models/training/trainer.h"

namespace atelier::models {
namespace {

constexpr int64_t kBatchSize = 128;
constexpr int64_t kScoringBatchSize = 500;
// The recipe `fast` over at least so many steps: small data sets pass more often.
constexpr int64_t kEpochs = 3;
constexpr int64_t kLeastSteps = 200;
constexpr double kLearningRate = 3e-3;
constexpr double kLabelDropout = 0.3;
// Numbers of a network that is small enough for images of any size.
constexpr int64_t kMostNumbers = int64_t{4} << 20;
// The counter of the random stream that divides images; 0 is the trainer's.
constexpr uint64_t kFoldStream = 1;

// The first preset that takes such images and is not too large.
absl::StatusOr<Architecture> SmallNetwork(const ImageShape& shape, int64_t classes) {
  for (const char* preset : {"cnn-1", "cnn-3-pooled"}) {
    auto architecture = Architecture::FromPreset(preset, shape, classes, kLabelDropout);
    if (architecture.ok() && architecture->ParameterCount() <= kMostNumbers) return architecture;
  }
  const auto dense = Architecture::FromPreset("dense", shape, classes, kLabelDropout);
  if (dense.ok()) return dense;
  return Failure(FailureReason::kInvalidSpec, dense.status().message());
}

TrainingOptions OptionsFor(const Architecture& architecture, const Dataset& dataset,
                           const LabelCheckOptions& check, int64_t fold) {
  TrainingOptions options;
  options.architecture = architecture;
  options.learning_rate = kLearningRate;
  options.schedule = Schedule::kOneCycle;
  options.seed = check.seed + static_cast<uint64_t>(fold);
  options.threads = std::clamp<int64_t>(check.threads, 1, 64);
  const int64_t left = dataset.training().size() - options.ValidationImages(dataset);
  options.batch_size = std::min(kBatchSize, left);
  options.shards = AutoShards(options.threads, options.batch_size);
  const int64_t steps = (left + options.batch_size - 1) / options.batch_size;
  options.epochs = std::max(kEpochs, (kLeastSteps + steps - 1) / steps);
  options.patience = options.epochs;
  return options;
}

// Tells a training's steps as images.
class StepCounter final : public TrainingObserver {
 public:
  StepCounter(int64_t batch_size, const std::function<void(int64_t)>& tell)
      : batch_size_(batch_size), tell_(tell) {}
  void OnStep(const StepProgress& progress) override { tell_(progress.global_step * batch_size_); }

 private:
  const int64_t batch_size_;
  const std::function<void(int64_t)>& tell_;
};

std::string ChecksumOf(const LabeledImages& images) {
  Sha256 digest;
  digest.Update(images.pixels.data(), images.pixels.size());
  digest.Update(images.labels.data(), images.labels.size() * sizeof(ClassLabel));
  return digest.Finish();
}

// One check: the networks in turn, and what they say.
class CrossValidation {
 public:
  CrossValidation(const LabeledImages& images, const ImageShape& shape,
                  const std::vector<std::string>& class_names, const LabelCheckOptions& options)
      : images_(images),
        shape_(shape),
        class_names_(class_names),
        options_(options),
        classes_(class_names.size()),
        fold_of_(
            DivideIntoFolds(images, static_cast<int64_t>(classes_), options.folds, options.seed)),
        probabilities_(static_cast<size_t>(images.size()) * classes_) {}

  absl::StatusOr<std::vector<float>> Run() {
    if (!options_.folders.empty()) checksum_ = ChecksumOf(images_);
    for (int64_t fold = 0; fold < options_.folds; ++fold) {
      if (absl::Status status = RunFold(fold); !status.ok()) return status;
    }
    return std::move(probabilities_);
  }

 private:
  absl::Status RunFold(int64_t fold) {
    const auto others = OthersOf(fold);
    if (!others.ok()) return others.status();
    const auto architecture = SmallNetwork(shape_, static_cast<int64_t>(classes_));
    if (!architecture.ok()) return architecture.status();
    const TrainingOptions options = OptionsFor(*architecture, **others, options_, fold);
    passes_ = options.epochs * (*others)->training().size();
    const std::vector<int32_t> members = MembersOf(fold);
    const std::string fingerprint = absl::StrCat(checksum_, "\n", options.Fingerprint(**others));
    if (TakeKept(fold, members, fingerprint)) return absl::OkStatus();
    auto model = Train(options, *others, fold);
    if (!model.ok()) return model.status();
    if (absl::Status status = Guess(*model, members); !status.ok()) return status;
    Keep(fold, members, fingerprint);
    return absl::OkStatus();
  }

  std::vector<int32_t> MembersOf(int64_t fold) const {
    std::vector<int32_t> members;
    for (size_t i = 0; i < fold_of_.size(); ++i) {
      if (fold_of_[i] == fold) members.push_back(static_cast<int32_t>(i));
    }
    return members;
  }

  // The row of an image in the probabilities.
  std::vector<float>::iterator RowOf(int32_t image) {
    return probabilities_.begin() +
           static_cast<std::ptrdiff_t>(static_cast<size_t>(image) * classes_);
  }

  // True if an earlier check kept the fold's guesses.
  bool TakeKept(int64_t fold, const std::vector<int32_t>& members, const std::string& fingerprint) {
    const auto kept = FindFold(options_.folders, fold, fingerprint, members.size() * classes_);
    if (!kept.has_value()) return false;
    for (size_t i = 0; i < members.size(); ++i) {
      std::copy_n(kept->begin() + static_cast<std::ptrdiff_t>(i * classes_), classes_,
                  RowOf(members[i]));
    }
    Log(absl::StrCat("Fold ", fold + 1, " of ", options_.folds,
                     " was done by an earlier attempt."));
    Tell(fold, passes_);
    return true;
  }

  void Keep(int64_t fold, const std::vector<int32_t>& members, const std::string& fingerprint) {
    if (options_.folders.empty()) return;
    std::vector<float> numbers;
    numbers.reserve(members.size() * classes_);
    for (const int32_t image : members) {
      numbers.insert(numbers.end(), RowOf(image),
                     RowOf(image) + static_cast<std::ptrdiff_t>(classes_));
    }
    const absl::Status kept = WriteFold(options_.folders[0], fold, fingerprint, numbers);
    // Only a check that loses its process needs it.
    if (!kept.ok()) {
      Log(absl::StrCat("The guesses of fold ", fold + 1, " cannot be kept: ", kept.message(), "."));
    }
  }

  void Log(const std::string& sentence) const {
    if (options_.log) options_.log(sentence);
  }

  // What a network is trained on. The test split is not used.
  absl::StatusOr<std::shared_ptr<const Dataset>> OthersOf(int64_t fold) const {
    const auto size = static_cast<size_t>(shape_.size());
    std::vector<uint8_t> pixels;
    pixels.reserve(images_.pixels.size());
    std::vector<ClassLabel> labels;
    for (size_t i = 0; i < fold_of_.size(); ++i) {
      if (fold_of_[i] == fold) continue;
      const uint8_t* const image = images_.pixels.data() + i * size;
      pixels.insert(pixels.end(), image, image + size);
      labels.push_back(images_.labels[i]);
    }
    const LabeledImages unused{images_.pixels.Part(0, size), images_.labels.Part(0, 1)};
    return Dataset::Create(shape_, class_names_, {std::move(pixels), std::move(labels)}, unused);
  }

  absl::StatusOr<TrainedModel> Train(const TrainingOptions& options,
                                     const std::shared_ptr<const Dataset>& dataset, int64_t fold) {
    const auto trainer = Trainer::Create(options, dataset);
    if (!trainer.ok()) return trainer.status();
    const std::function<void(int64_t)> tell = [&](int64_t images) { Tell(fold, images); };
    StepCounter counter(options.batch_size, tell);
    const auto outcome = (*trainer)->Run(&counter, options_.stop);
    if (!outcome.ok()) return outcome.status();
    if (outcome->end == TrainingOutcome::End::kStopped ||
        outcome->end == TrainingOutcome::End::kSuspended) {
      return Failure(FailureReason::kCancelled, "asked to stop while checking labels");
    }
    return (*trainer)->BestModel();
  }

  absl::Status Guess(const TrainedModel& model, const std::vector<int32_t>& members) {
    return GuardExceptions("guessing labels", [&]() -> absl::Status {
      ThreadTeam team(std::max<int64_t>(options_.threads, 1));
      const auto network = Compile(model);
      return VisitProbabilities(*network, images_, members, kScoringBatchSize, team, options_.stop,
                                [&](size_t place, absl::Span<const float> row, auto /*label*/) {
                                  std::copy(row.begin(), row.end(), RowOf(members[place]));
                                });
    });
  }

  void Tell(int64_t fold, int64_t images) const {
    if (!options_.progress) return;
    options_.progress(fold * passes_ + std::min(images, passes_), options_.folds * passes_);
  }

  const LabeledImages& images_;
  const ImageShape shape_;
  const std::vector<std::string>& class_names_;
  const LabelCheckOptions& options_;
  const size_t classes_;
  const std::vector<int64_t> fold_of_;
  std::vector<float> probabilities_;
  std::string checksum_;  // Of the images and labels, if guesses are kept.
  int64_t passes_ = 0;    // Images that one training takes in, over its epochs.
};

// How sure the networks are of each class on its own images, in the mean; above any probability for
// a class of fewer than two images, of which nothing can be said.
std::vector<double> Thresholds(const LabeledImages& images, int64_t classes,
                               absl::Span<const float> probabilities) {
  std::vector<double> sums(static_cast<size_t>(classes));
  std::vector<int64_t> counts(static_cast<size_t>(classes));
  for (size_t i = 0; i < static_cast<size_t>(images.size()); ++i) {
    const size_t label = images.labels[i];
    sums[label] += probabilities[i * sums.size() + label];
    ++counts[label];
  }
  for (size_t c = 0; c < sums.size(); ++c) {
    sums[c] = counts[c] < 2 ? std::numeric_limits<double>::infinity()
                            : sums[c] / static_cast<double>(counts[c]);
  }
  return sums;
}

// The class that the confident joint counts an image under: the most probable of those that reach
// their thresholds.
std::optional<size_t> ConfidentClass(absl::Span<const float> row,
                                     const std::vector<double>& thresholds) {
  std::optional<size_t> confident;
  for (size_t c = 0; c < row.size(); ++c) {
    if (row[c] < thresholds[c] || (confident.has_value() && row[c] <= row[*confident])) continue;
    confident = c;
  }
  return confident;
}

// How many labels are wrong by the confident joint: what lies off its diagonal, each row scaled to
// all images of the label, since it counts only those that are told confidently (the paper's
// calibration). Of the only image of a class nothing can be said.
int64_t EstimateWrong(const std::vector<std::vector<int64_t>>& joint,
                      const std::vector<std::vector<int64_t>>& confusion) {
  double wrong = 0;
  for (size_t given = 0; given < joint.size(); ++given) {
    const auto counted = std::accumulate(joint[given].begin(), joint[given].end(), int64_t{0});
    const auto images =
        std::accumulate(confusion[given].begin(), confusion[given].end(), int64_t{0});
    if (counted == 0 || images < 2) continue;
    wrong += static_cast<double>((counted - joint[given][given]) * images) /
             static_cast<double>(counted);
  }
  return std::llround(wrong);
}

// How much less probable the label is than the guess, as the logarithm of their ratio. (Their
// difference, the paper's normalised margin, is nearly the same for all images of which a network
// is sure, however unlikely the label.)
double LogMargin(const Prediction& made) {
  constexpr float kLeast = std::numeric_limits<float>::min();
  return std::log(std::max(made.true_probability, kLeast)) - std::log(made.probability);
}

}  // namespace

std::vector<int64_t> DivideIntoFolds(const LabeledImages& images, int64_t classes, int64_t folds,
                                     uint64_t seed) {
  std::vector<int32_t> order(static_cast<size_t>(images.size()));
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(seed, RandomPurpose::kSplit, kFoldStream);
  Shuffle(order, random);
  std::vector<std::vector<int32_t>> of_class(static_cast<size_t>(classes));
  for (const int32_t image : order) {
    of_class[images.labels[static_cast<size_t>(image)]].push_back(image);
  }
  // Dealt out one by one, the next class where the last one ended, so that folds are equally large.
  std::vector<int64_t> fold_of(order.size());
  int64_t next = 0;
  for (const std::vector<int32_t>& members : of_class) {
    for (const int32_t image : members) fold_of[static_cast<size_t>(image)] = next++ % folds;
  }
  return fold_of;
}

LabelCheck FindSuspiciousLabels(const LabeledImages& images, int64_t classes,
                                absl::Span<const float> probabilities) {
  const auto width = static_cast<size_t>(classes);
  const std::vector<double> thresholds = Thresholds(images, classes, probabilities);
  LabelCheck check;
  check.confusion.assign(width, std::vector<int64_t>(width));
  std::vector<std::vector<int64_t>> joint = check.confusion;
  int64_t agreeing = 0;
  for (size_t i = 0; i < static_cast<size_t>(images.size()); ++i) {
    const size_t given = images.labels[i];
    const absl::Span<const float> row = probabilities.subspan(i * width, width);
    const auto guess = static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    ++check.confusion[given][guess];
    if (const auto confident = ConfidentClass(row, thresholds)) ++joint[given][*confident];
    agreeing += guess == given;
    if (guess == given || thresholds[given] > 1) continue;
    check.suspicious.push_back({static_cast<int64_t>(i), static_cast<int64_t>(given),
                                static_cast<int64_t>(guess), row[guess], row[given]});
  }
  std::stable_sort(
      check.suspicious.begin(), check.suspicious.end(),
      [](const Prediction& a, const Prediction& b) { return LogMargin(a) < LogMargin(b); });
  const auto wrong = static_cast<size_t>(EstimateWrong(joint, check.confusion));
  check.suspicious.resize(std::min(check.suspicious.size(), wrong));
  check.agreement = static_cast<double>(agreeing) / static_cast<double>(images.size());
  return check;
}

absl::StatusOr<LabelCheck> CheckLabels(const LabeledImages& images, const ImageShape& shape,
                                       const std::vector<std::string>& class_names,
                                       const LabelCheckOptions& options) {
  auto probabilities = CrossValidation(images, shape, class_names, options).Run();
  if (!probabilities.ok()) return probabilities.status();
  return FindSuspiciousLabels(images, static_cast<int64_t>(class_names.size()), *probabilities);
}

}  // namespace atelier::models
