#include "server/logging.h"

#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "spdlog/details/log_msg.h"

namespace atelier::server {
namespace {

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

TEST(LoggingTest, RefusesFormatsAndLevelsThatAreNone) {
  EXPECT_EQ(SetUpLogging("xml", "info").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SetUpLogging("text", "loud").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(SetUpLogging("json", "warning").ok());
  EXPECT_TRUE(SetUpLogging("text", "debug").ok());
}

}  // namespace
}  // namespace atelier::server
