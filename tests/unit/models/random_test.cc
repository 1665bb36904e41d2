#include "models/base/random.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace atelier::models {
namespace {

TEST(RandomStreamTest, IsAFunctionOfItsName) {
  std::set<uint64_t> first;
  for (const uint64_t seed : {0, 1}) {
    for (const auto purpose : {RandomPurpose::kOrder, RandomPurpose::kStep}) {
      for (uint64_t a = 0; a < 5; ++a) {
        for (uint64_t b = 0; b < 5; ++b) {
          RandomStream stream(seed, purpose, a, b);
          RandomStream again(seed, purpose, a, b);
          first.insert(stream.Next());
          again.Next();
          EXPECT_EQ(stream.Next(), again.Next());
        }
      }
    }
  }
  EXPECT_EQ(first.size(), 100U);
}

// Stored checkpoints rely on these values.
TEST(RandomStreamTest, KeepsItsValues) {
  RandomStream stream(42, RandomPurpose::kSplit, 3, 4);
  EXPECT_EQ(stream.Next(), 3569940112221739656U);
  EXPECT_EQ(stream.NextBelow(1000), 896U);
}

TEST(RandomStreamTest, IsUniform) {
  RandomStream stream(1, RandomPurpose::kStep);
  std::vector<int> counts(10);
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    ++counts[stream.NextBelow(10)];
    const float value = stream.NextFloat();
    ASSERT_GE(value, 0.0F);
    ASSERT_LT(value, 1.0F);
    sum += value;
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
}

TEST(ShuffleTest, KeepsTheValuesAndChangesTheirOrder) {
  std::vector<int> values(1000);
  std::iota(values.begin(), values.end(), 0);
  std::vector<int> shuffled = values;
  RandomStream stream(1, RandomPurpose::kOrder);
  Shuffle(shuffled, stream);
  EXPECT_NE(shuffled, values);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, values);
}

}  // namespace
}  // namespace atelier::models
