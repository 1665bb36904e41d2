// Every preset on larger colour images, and both paths on many classes.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "models/network/presets.h"
#include "models/training/evaluation.h"
#include "models/training/trainer.h"
#include "tests/unit/models/small_training.h"

namespace atelier::models {
namespace {

constexpr int64_t kManyClasses = 1000;

std::vector<std::string> Names(int64_t classes) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < classes; ++i) names.push_back(absl::StrCat("class ", i));
  return names;
}

// An image for each class, in the order of the classes, whose pixels spell its number.
LabeledImages SpelledImages(ImageShape shape, int64_t classes) {
  std::vector<uint8_t> pixels;
  std::vector<ClassLabel> labels;
  for (int64_t label = 0; label < classes; ++label) {
    for (int64_t i = 0; i < shape.size(); ++i) {
      pixels.push_back(label >> (i % 10) & 1 ? 255 : 0);
    }
    labels.push_back(static_cast<ClassLabel>(label));
  }
  return {std::move(pixels), std::move(labels)};
}

// How well a network tests that was trained with the options.
absl::StatusOr<Evaluation> EvaluateTrained(const TrainingOptions& options,
                                           const std::shared_ptr<const Dataset>& dataset) {
  const auto trainer = Trainer::Create(options, dataset, {});
  if (!trainer.ok()) return trainer.status();
  const auto outcome = (*trainer)->Run(nullptr, nullptr);
  if (!outcome.ok()) return outcome.status();
  return Evaluate((*trainer)->CurrentModel(), *dataset, SplitName::kTest);
}

class PresetSizesTest : public testing::TestWithParam<std::string> {};

TEST_P(PresetSizesTest, TrainsOn64x64Colours) {
  const ImageShape shape = {3, 64, 64};
  constexpr int64_t kClasses = 6;
  const auto dataset = Dataset::Create(shape, Names(kClasses), NoisyImages(shape, kClasses, 24),
                                       NoisyImages(shape, kClasses, 6));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  TrainingOptions options = SmallOptions();
  options.architecture = *Architecture::FromPreset(GetParam(), shape, kClasses, 0.3);
  options.epochs = 1;
  options.batch_size = 8;
  const auto evaluation = EvaluateTrained(options, *dataset);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_TRUE(std::isfinite(evaluation->loss));
}

// What docs/networks/README.md says of larger images; no preset has more than the largest there.
TEST_P(PresetSizesTest, HasFewerThan20MillionParametersAt128x128WithAThousandClasses) {
  const auto network = Architecture::FromPreset(GetParam(), {3, 128, 128}, kManyClasses, 0.3);
  ASSERT_TRUE(network.ok()) << network.status();
  EXPECT_LT(network->ParameterCount(), 20'000'000);
}

INSTANTIATE_TEST_SUITE_P(All, PresetSizesTest, testing::ValuesIn([] {
                           std::vector<std::string> names;
                           for (const Preset& preset : Presets()) names.push_back(preset.name);
                           return names;
                         }()),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

// Remembers its training images, classes beyond the 256th as well as those before.
TEST(ManyClassesTest, BothPathsLearnAThousandClasses) {
  const ImageShape shape = {1, 4, 5};
  const LabeledImages images = SpelledImages(shape, kManyClasses);
  const auto dataset = Dataset::Create(shape, Names(kManyClasses), images, images);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  for (const PathChoice path : {PathChoice::kAutomatic, PathChoice::kLibTorch}) {
    TrainingOptions options = SmallOptions();
    options.architecture = *Architecture::FromPreset("dense", shape, kManyClasses, 0);
    options.path_choice = path;
    options.epochs = 30;
    options.batch_size = 50;
    const auto evaluation = EvaluateTrained(options, *dataset);
    ASSERT_TRUE(evaluation.ok()) << evaluation.status();
    ASSERT_EQ(evaluation->confusion.size(), static_cast<size_t>(kManyClasses));
    // A tenth of the images is held back and never learned.
    EXPECT_GT(evaluation->accuracy, 0.5);
    ASSERT_TRUE(evaluation->top5_accuracy.has_value());
    EXPECT_GE(*evaluation->top5_accuracy, evaluation->accuracy);
    int64_t beyond_bytes = 0;
    for (size_t c = 256; c < evaluation->confusion.size(); ++c) {
      beyond_bytes += evaluation->confusion[c][c];
    }
    EXPECT_GT(beyond_bytes, 300);
  }
}

}  // namespace
}  // namespace atelier::models
