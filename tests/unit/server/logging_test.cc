#include "server/logging.h"

#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spdlog/details/log_msg.h"

namespace atelier::server {
namespace {

using ::testing::EndsWith;
using ::testing::MatchesRegex;

TEST(LoggingTest, AJsonLineIsOneObjectWhateverTheMessage) {
  const std::string message = "a \"quoted\" line\nand \xFF another";
  spdlog::memory_buf_t line;
  MakeJsonFormatter()->format(spdlog::details::log_msg("atelierd", spdlog::level::warn, message),
                              line);
  const std::string text(line.data(), line.size());
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto object = nlohmann::json::parse(text);
  EXPECT_EQ(object["level"], "warning");
  EXPECT_EQ(object["message"], "a \"quoted\" line\nand \xEF\xBF\xBD another");
  EXPECT_THAT(object["time"].get<std::string>(),
              MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z"));
}

// What a formatter makes of an event with fields.
std::string Line(spdlog::formatter* formatter, const std::string& sentence) {
  const std::string message = sentence + "\x1ejob\x1fshoes-1\x1emodel\x1fmodels/shoes/versions/2";
  spdlog::memory_buf_t line;
  formatter->format(spdlog::details::log_msg("atelierd", spdlog::level::info, message), line);
  return std::string(line.data(), line.size());
}

TEST(LoggingTest, FieldsAreMembersOfTheObject) {
  const auto object = nlohmann::json::parse(Line(MakeJsonFormatter().get(), "Stored."));
  EXPECT_EQ(object["message"], "Stored.");
  EXPECT_EQ(object["job"], "shoes-1");
  EXPECT_EQ(object["model"], "models/shoes/versions/2");
}

TEST(LoggingTest, ALineOfTextIsALineWhateverTheSentence) {
  EXPECT_THAT(Line(MakeTextFormatter().get(), "One\nforged\x1b[2J line."),
              EndsWith(" info: One\\nforged\\x1b[2J line. job=shoes-1 "
                       "model=models/shoes/versions/2\n"));
}

TEST(LoggingTest, RefusesFormatsAndLevelsThatAreNone) {
  EXPECT_EQ(SetUpLogging("xml", "info").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SetUpLogging("text", "loud").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(SetUpLogging("json", "warning").ok());
  EXPECT_TRUE(SetUpLogging("text", "debug").ok());
}

}  // namespace
}  // namespace atelier::server
