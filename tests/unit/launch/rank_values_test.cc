#include "server/launch/rank_values.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace atelier::launch {
namespace {

TEST(RankValuesTest, KeepsTheLastValueOfEachKeyAndAttempt) {
  RankValues values;
  EXPECT_EQ(values.Get("job/1", "0"), std::nullopt);
  ASSERT_TRUE(values.Set("job/1", "0", "a").ok());
  ASSERT_TRUE(values.Set("job/1", "0", "b").ok());
  ASSERT_TRUE(values.Set("job/2", "0", "").ok());
  EXPECT_EQ(values.Get("job/1", "0"), "b");
  EXPECT_EQ(values.Get("job/2", "0"), "");
  EXPECT_EQ(values.Get("job/1", "1"), std::nullopt);
}

TEST(RankValuesTest, RefusesWhatIsTooMuch) {
  RankValues values;
  EXPECT_TRUE(absl::IsInvalidArgument(values.Set("job/1", "", "a")));
  EXPECT_TRUE(
      absl::IsInvalidArgument(values.Set("job/1", std::string(RankValues::kMaxKey + 1, 'k'), "a")));
  EXPECT_TRUE(absl::IsInvalidArgument(
      values.Set("job/1", "0", std::string(RankValues::kMaxValue + 1, 'v'))));
  ASSERT_TRUE(values
                  .Set("job/1", std::string(RankValues::kMaxKey, 'k'),
                       std::string(RankValues::kMaxValue, 'v'))
                  .ok());
  for (std::size_t i = 1; i < RankValues::kMaxValues; ++i) {
    ASSERT_TRUE(values.Set("job/1", absl::StrCat(i), "a").ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(values.Set("job/1", "more", "a")));
  EXPECT_TRUE(values.Set("job/1", "1", "b").ok()) << "there already";
}

TEST(RankValuesTest, ForgetsTheAttemptThatNobodyUses) {
  RankValues values;
  for (std::size_t i = 0; i < RankValues::kMaxAttempts; ++i) {
    ASSERT_TRUE(values.Set(absl::StrCat("job/", i), "0", "a").ok());
  }
  EXPECT_EQ(values.Get("job/0", "0"), "a");
  ASSERT_TRUE(values.Set("job/new", "0", "a").ok());
  EXPECT_EQ(values.Get("job/0", "0"), "a") << "it was used after job/1";
  EXPECT_EQ(values.Get("job/1", "0"), std::nullopt);
}

}  // namespace
}  // namespace atelier::launch
