// The real engine on a real archive.
#include "server/serving/engine.h"

#include <sys/stat.h>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/serving/tiny_archive.h"

namespace atelier::serving {
namespace {

using ::testing::Each;
using ::testing::FloatNear;
using ::testing::HasSubstr;

class EngineTest : public testing::Test {
 protected:
  EngineTest() {
    const auto info = WriteTinyArchive(version_.archive_path);
    EXPECT_TRUE(info.ok()) << info.status();
    if (info.ok()) version_.sha256 = info->sha256;
  }

  models::TemporaryFolder folder_;
  Version version_ = {"net", 1, folder_.File("model.tar.gz"), ""};
};

TEST_F(EngineTest, AnswersForAnyNumberOfImages) {
  const auto engine = LoadEngine(version_);
  ASSERT_TRUE(engine.ok()) << engine.status();
  EXPECT_EQ((*engine)->input_shape(), (models::ImageShape{1, 2, 2}));
  for (const std::size_t count : {1, 7, 32, 33, 100}) {
    const std::vector<std::uint8_t> bytes(count * 4, 9);
    const auto answer = (*engine)->Classify({absl::MakeConstSpan(bytes)});
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->size(), count * kTinyClasses);
    EXPECT_THAT(*answer, Each(FloatNear(1.0f / kTinyClasses, 1e-6f)));
    const std::vector<float> floats(count * 4, 0.5f);
    EXPECT_EQ((*engine)->Classify({absl::MakeConstSpan(floats)})->size(), count * kTinyClasses);
    EXPECT_EQ(
        (*engine)->Classify({absl::MakeConstSpan(floats), absl::MakeConstSpan(bytes)})->size(),
        2 * count * kTinyClasses);
  }
}

TEST_F(EngineTest, AnArchiveWithAnotherChecksumIsUnavailable) {
  version_.sha256.front() = version_.sha256.front() == '0' ? '1' : '0';
  const auto engine = LoadEngine(version_);
  EXPECT_EQ(engine.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(engine.status().message()), HasSubstr("SHA-256"));
}

TEST_F(EngineTest, WhatLiesInAnArchivesPlaceIsSaidAndHoldsNothingUp) {
  version_.archive_path = folder_.path();
  EXPECT_THAT(std::string(LoadEngine(version_).status().message()),
              HasSubstr(folder_.path() + " is a folder, not a file."));
  version_.archive_path = folder_.File("fifo");
  ASSERT_EQ(mkfifo(version_.archive_path.c_str(), 0600), 0);
  const absl::Status status = LoadEngine(version_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("is a FIFO, not a file."));
}

TEST_F(EngineTest, AMissingArchiveIsUnavailable) {
  version_.archive_path += ".gone";
  EXPECT_EQ(LoadEngine(version_).status().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace atelier::serving
