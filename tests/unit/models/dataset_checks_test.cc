#include "models/data/dataset_checks.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/base/random.h"
#include "models/data/dataset_statistics.h"
#include "models/data/near_duplicates.h"

namespace atelier::models {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr ImageShape kShape = {1, 16, 16};

// Smooth, and different for each seed.
std::vector<uint8_t> Picture(uint64_t seed) {
  RandomStream random(seed, RandomPurpose::kStep);
  std::vector<int64_t> coarse;
  for (int i = 0; i < 16; ++i) coarse.push_back(static_cast<int64_t>(random.NextBelow(200)) + 20);
  std::vector<uint8_t> pixels;
  for (size_t y = 0; y < 16; ++y) {
    for (size_t x = 0; x < 16; ++x) {
      pixels.push_back(static_cast<uint8_t>(coarse[y / 4 * 4 + x / 4]));
    }
  }
  return pixels;
}

std::vector<uint8_t> Brighter(std::vector<uint8_t> pixels, int by) {
  for (uint8_t& pixel : pixels) pixel = static_cast<uint8_t>(pixel + by);
  return pixels;
}

// A data set as the checks see it.
class DatasetChecksTest : public testing::Test {
 protected:
  void Add(const std::vector<uint8_t>& image, ClassLabel label) {
    images_.push_back(image);
    labels_.push_back(label);
  }
  // Adds images that have nothing wrong.
  void AddSound(int count) {
    for (int i = 0; i < count; ++i) Add(Picture(1000 + i), static_cast<uint8_t>(i % 2));
  }
  // The last `test` images test, the last `validation` before them validate.
  std::vector<std::string> Sentences(int64_t test, int64_t validation = 0) {
    const auto all = static_cast<int64_t>(images_.size());
    const DatasetInfo info{kShape, {"cat", "dog"}, all - test, test, validation};
    DatasetChecks checks(info);
    for (int64_t i = 0; i < all; ++i) {
      const auto at = static_cast<size_t>(i);
      const bool tests = i >= info.training_images;
      checks.Add(tests ? SplitName::kTest : SplitName::kTraining,
                 tests ? i - info.training_images : i, labels_[at], FactsOf(kShape, images_[at]));
    }
    return *checks.Sentences([&](uint32_t image, absl::Span<uint8_t> pixels) {
      std::copy(images_[image].begin(), images_[image].end(), pixels.begin());
      return absl::OkStatus();
    });
  }

  std::vector<std::vector<uint8_t>> images_;
  std::vector<ClassLabel> labels_;
};

TEST_F(DatasetChecksTest, SaysNothingOfASoundDataSet) {
  AddSound(60);
  EXPECT_THAT(Sentences(10), IsEmpty());
}

TEST_F(DatasetChecksTest, FindsTestImagesThatNearlyEqualTrainingImages) {
  AddSound(59);
  Add(Brighter(images_[3], 9), labels_[3]);
  EXPECT_THAT(Sentences(10),
              Contains("1 of 10 test images nearly equal a training image, so test accuracy may be "
                       "too high (test image 9, training image 3)."));
}

TEST_F(DatasetChecksTest, FindsNearlyEqualImagesOfTwoClasses) {
  AddSound(60);
  images_[40] = Brighter(images_[4], 9);
  labels_[40] = 1;
  EXPECT_THAT(Sentences(10), Contains("1 pairs of nearly equal images are of different classes "
                                      "(training image 4 is 'cat', training image 40 is 'dog')."));
}

TEST_F(DatasetChecksTest, FindsRepeatedImages) {
  AddSound(60);
  images_[40] = images_[4];
  EXPECT_THAT(Sentences(10), Contains("1 images equal an earlier image of their split and class."));
}

TEST_F(DatasetChecksTest, FindsValidationImagesThatTrain) {
  AddSound(60);
  images_[49] = images_[1];
  labels_[49] = labels_[1];
  EXPECT_THAT(Sentences(10, 5),
              Contains(HasSubstr("1 of 5 validation images are among the images that train")));
}

TEST_F(DatasetChecksTest, FindsImagesOfASingleColour) {
  AddSound(60);
  Add(std::vector<uint8_t>(256, 40), 0);
  EXPECT_THAT(Sentences(10), Contains("1 images are of a single colour (test image 9)."));
}

TEST_F(DatasetChecksTest, FindsDataSetsThatAreNearlyBlack) {
  AddSound(60);
  for (auto& image : images_) {
    for (uint8_t& pixel : image) pixel /= 32;
  }
  EXPECT_THAT(Sentences(10), Contains(HasSubstr("No pixel is brighter than 6 of 255")));
}

TEST_F(DatasetChecksTest, NamesClassesWithFewImagesOrNone) {
  for (int i = 0; i < 30; ++i) Add(Picture(1000 + i), 0);
  for (int i = 30; i < 33; ++i) Add(Picture(1000 + i), 1);
  Add(Picture(2000), 0);
  const std::vector<std::string> sentences = Sentences(1);
  EXPECT_THAT(sentences,
              Contains(HasSubstr("1 classes have fewer than 20 training images ('dog')")));
  EXPECT_THAT(sentences, Contains("1 classes have no test images ('dog')."));
  EXPECT_THAT(sentences, Not(Contains(HasSubstr("unbalanced"))));
}

TEST_F(DatasetChecksTest, NamesUnbalancedClasses) {
  for (int i = 0; i < 34; ++i) Add(Picture(1000 + i), i < 31 ? 0 : 1);
  EXPECT_THAT(Sentences(1),
              Contains(HasSubstr("'cat' has 31 training images, 'dog' has 2; balanced")));
}

TEST(PixelStatisticsTest, SumsOfLargeImagesAreExact) {
  const ImageShape shape = {1, 4096, 4352};
  PixelStatistics statistics(shape);
  statistics.Look(std::vector<uint8_t>(static_cast<size_t>(shape.size()), 255));
  EXPECT_THAT(statistics.Means(), testing::ElementsAre(1.0));
  EXPECT_THAT(statistics.Deviations(), testing::ElementsAre(0.0));
}

TEST(PixelStatisticsTest, SumsAddUpInAnyOrder) {
  const ImageShape shape = {3, 300, 300};
  std::vector<PixelStatistics> parts(3, PixelStatistics(shape));
  PixelStatistics whole(shape);
  for (int i = 0; i < 6; ++i) {
    std::vector<uint8_t> image(static_cast<size_t>(shape.size()));
    for (size_t p = 0; p < image.size(); ++p) image[p] = static_cast<uint8_t>(p * 31 + 7 * i);
    whole.Look(image);
    parts[static_cast<size_t>(i % 3)].Look(image);
  }
  PixelStatistics added(shape);
  for (const int part : {2, 0, 1}) added.Add(parts[static_cast<size_t>(part)]);
  EXPECT_EQ(added.Means(), whole.Means());
  EXPECT_EQ(added.Deviations(), whole.Deviations());
}

TEST(NearDuplicatesTest, FindsEveryPairOnce) {
  NearDuplicates near(kShape);
  const std::vector<std::vector<uint8_t>> images = {Picture(1), Picture(2), Brighter(Picture(1), 5),
                                                    Picture(2)};
  for (const auto& image : images) near.Add(FactsOf(kShape, image).differences);
  const auto pairs =
      near.Find([](const NearDuplicates::Pair&) { return true; },
                [&](uint32_t image, absl::Span<uint8_t> pixels) {
                  std::copy(images[image].begin(), images[image].end(), pixels.begin());
                  return absl::OkStatus();
                });
  // Images 1 and 3 are equal, which is another thing.
  ASSERT_EQ(pairs->size(), 1u);
  EXPECT_EQ((*pairs)[0].earlier, 0u);
  EXPECT_EQ((*pairs)[0].later, 2u);
}

TEST(NearDuplicatesTest, LooksForABoundedNumberOfPairs) {
  NearDuplicates near({1, 1, 1});
  // Their hashes are equal, and each has many neighbours.
  for (int i = 0; i < 200'000; ++i) near.Add(0);
  size_t pairs = 0;
  const auto found = near.Find([&](const NearDuplicates::Pair&) { return ++pairs > 0; },
                               [](uint32_t, absl::Span<uint8_t>) { return absl::OkStatus(); });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(pairs, NearDuplicates::kMaxCandidates);
}

}  // namespace
}  // namespace atelier::models
