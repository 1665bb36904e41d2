// Tests of what the command lines of all programs have in common.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/flags/duration.h"
#include "proto/flags/size.h"
#include "proto/flags/spelling.h"

namespace atelier::flags {
namespace {

using testing::HasSubstr;

TEST(DurationTest, ReadsSecondsAndUnits) {
  const std::vector<std::pair<const char*, absl::Duration>> cases = {
      {"8", absl::Seconds(8)},           {"0.5", absl::Milliseconds(500)},
      {"8s", absl::Seconds(8)},          {"500ms", absl::Milliseconds(500)},
      {"2m", absl::Minutes(2)},          {"1h30m", absl::Minutes(90)},
      {"inf", absl::InfiniteDuration()}, {"0", absl::ZeroDuration()},
      {"-1s", absl::Seconds(-1)}};
  for (const auto& [text, duration] : cases) EXPECT_EQ(ParseDuration(text).value(), duration);
}

TEST(DurationTest, RefusesOtherTexts) {
  for (const char* const text : {"", "soon", "8 s", "8x", "nan", "s"}) {
    const auto duration = ParseDuration(text);
    ASSERT_FALSE(duration.ok()) << text;
    EXPECT_THAT(std::string(duration.status().message()), HasSubstr("8, 8s, 500ms or 2m"));
  }
}

TEST(DurationTest, IsAFlagOfAbseil) {
  Duration duration;
  std::string error;
  EXPECT_TRUE(AbslParseFlag("8", &duration, &error));
  EXPECT_EQ(AbslUnparseFlag(duration), "8s");
  EXPECT_FALSE(AbslParseFlag("soon", &duration, &error));
  EXPECT_THAT(error, HasSubstr("'soon' is not a duration"));
}

TEST(SizeTest, TakesUnits) {
  EXPECT_EQ(ParseSize("2GiB").value(), std::int64_t{2} << 30);
  EXPECT_EQ(ParseSize("512 mib").value(), 512 << 20);
  EXPECT_EQ(ParseSize("1.5GB").value(), 1'500'000'000);
  EXPECT_EQ(ParseSize("0.5KiB").value(), 512);
  EXPECT_EQ(ParseSize("1048576").value(), 1048576);
  for (const char* wrong :
       {"", "GiB", "lots", "2G", "-1", "1e3", "1.2.3GiB", "nan", "9999999TiB"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseSize(wrong).status())) << wrong;
  }
}

TEST(SizeTest, IsAFlagOfAbseil) {
  Size size;
  std::string error;
  EXPECT_TRUE(AbslParseFlag("20GiB", &size, &error));
  EXPECT_EQ(size.bytes, std::int64_t{20} << 30);
  EXPECT_EQ(AbslUnparseFlag(size), "20GiB");
  EXPECT_EQ(AbslUnparseFlag(Size{1000}), "1000");
  EXPECT_EQ(AbslUnparseFlag(Size{0}), "0");
  EXPECT_FALSE(AbslParseFlag("lots", &size, &error));
  EXPECT_THAT(error, HasSubstr("'lots' is not a size"));
}

bool IsDataDir(absl::string_view name) { return name == "data_dir"; }

TEST(SpellingTest, RespellsTheNamesOfKnownFlagsAlone) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"--data-dir=/a-b", "--data_dir=/a-b"},
      {"-data-dir", "-data_dir"},
      {"--data_dir=/a-b", "--data_dir=/a-b"},
      {"--other-dir=/a", "--other-dir=/a"},
      {"data-dir", "data-dir"},
      {"--=a-b", "--=a-b"},
      {"--", "--"},
      {"", ""}};
  for (const auto& [typed, respelled] : cases) {
    EXPECT_EQ(Respell(typed, '-', '_', IsDataDir), respelled);
  }
}

TEST(SpellingTest, LeavesArgumentsAfterTheSeparatorAlone) {
  std::vector<std::string> words = {"program", "--data-dir=x", "--", "--data-dir=x"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  RespellArguments(static_cast<int>(arguments.size()), arguments.data(), '-', '_', IsDataDir);
  EXPECT_THAT(words, testing::ElementsAre("program", "--data_dir=x", "--", "--data-dir=x"));
}

}  // namespace
}  // namespace atelier::flags
