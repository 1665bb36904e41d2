#include "server/rpc/archive_entries.h"

#include <string>

#include "gtest/gtest.h"
#include "models/files/sha256.h"
#include "server/jobs/error.h"

namespace atelier::rpc {
namespace {

class ArchiveEntriesTest : public testing::Test {
 protected:
  absl::StatusOr<std::shared_ptr<const ArchiveEntries::Entry>> Get(const std::string& key) {
    return entries_.Get(key, [this]() -> absl::StatusOr<std::string> {
      ++unpacked_;
      return std::string(60, 'x');
    });
  }

  ArchiveEntries entries_{100};
  int unpacked_ = 0;
};

TEST_F(ArchiveEntriesTest, GivesAllThatAskTheSameCopy) {
  const auto first = Get("a");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->sha256, models::Sha256Of((*first)->bytes));
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(Get("a").value(), *first);
  EXPECT_EQ(unpacked_, 1);
}

TEST_F(ArchiveEntriesTest, ForgetsWhatNobodyHolds) {
  EXPECT_TRUE(Get("a").ok());
  EXPECT_TRUE(Get("a").ok());
  EXPECT_EQ(unpacked_, 2);
  EXPECT_TRUE(Get("b").ok());
}

TEST_F(ArchiveEntriesTest, RefusesWhatWouldBeTooMuchTogether) {
  auto held = Get("a");
  ASSERT_TRUE(held.ok());
  const auto refused = Get("b");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(jobs::ReasonOf(refused.status()), "SERVER_BUSY");
  EXPECT_TRUE(Get("a").ok());
  held->reset();
  EXPECT_TRUE(Get("b").ok());
}

TEST_F(ArchiveEntriesTest, PassesErrorsOn) {
  const auto failed = entries_.Get(
      "a", []() -> absl::StatusOr<std::string> { return absl::DataLossError("torn"); });
  EXPECT_EQ(failed.status().message(), "torn");
  EXPECT_TRUE(Get("a").ok());
}

}  // namespace
}  // namespace atelier::rpc
