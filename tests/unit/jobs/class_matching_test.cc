#include "server/base/class_matching.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ClassMatchingTest, FindsEachClassByItsName) {
  const auto matched = MatchClasses({"cat", "dog"}, {"dog", "bird", "cat"});
  ASSERT_TRUE(matched.ok()) << matched.status();
  EXPECT_THAT(*matched, ElementsAre(2, 0));
}

TEST(ClassMatchingTest, NamesTheClassesThatTheModelDoesNotKnow) {
  const absl::Status refused = MatchClasses({"cat", "fox", "owl"}, {"cat", "dog"}).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("does not know 'fox', 'owl'"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("those of the model 'cat', 'dog'"));
}

TEST(ClassMatchingTest, ANumberedFolderMeansTheClassOfThatNumber) {
  const auto matched = MatchClasses({"class-0", "Bag"}, {"T-shirt/top", "Bag"});
  ASSERT_TRUE(matched.ok()) << matched.status();
  EXPECT_THAT(*matched, ElementsAre(0, 1));
  EXPECT_FALSE(MatchClasses({"class-2"}, {"T-shirt/top", "Bag"}).ok());
  EXPECT_FALSE(MatchClasses({"class--1"}, {"T-shirt/top", "Bag"}).ok());
}

TEST(ClassMatchingTest, RefusesTwoClassesThatMeanOne) {
  const absl::Status refused = MatchClasses({"class-1", "Bag"}, {"Shirt", "Bag"}).status();
  EXPECT_THAT(std::string(refused.message()), HasSubstr("several mean 'Bag'"));
}

}  // namespace
}  // namespace atelier
