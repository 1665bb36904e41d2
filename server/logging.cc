#include "server/logging.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpc/support/log.h"
#include "nlohmann/json.hpp"
#include "spdlog/pattern_formatter.h"
#include "spdlog/sinks/stdout_sinks.h"
#include "spdlog/spdlog.h"

namespace atelier::server {
namespace {

// `%*` of the pattern: the message as a JSON string.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& line) override {
    const nlohmann::json text = std::string(message.payload.data(), message.payload.size());
    const std::string escaped = text.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    line.append(escaped.data(), escaped.data() + escaped.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

void LogOfGrpc(gpr_log_func_args* args) { spdlog::debug("gRPC: {}", args->message); }

}  // namespace

std::unique_ptr<spdlog::formatter> MakeJsonFormatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<JsonMessage>('*').set_pattern(
      R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
  return formatter;
}

absl::Status SetUpLogging(const std::string& format, const std::string& level) {
  constexpr std::array<const char*, 5> kLevels = {"trace", "debug", "info", "warning", "error"};
  if (std::find(kLevels.begin(), kLevels.end(), level) == kLevels.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--log_level: it is '", level, "', but must be trace, debug, info, warning or error."));
  }
  auto logger = std::make_shared<spdlog::logger>("atelierd",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (format == "json") {
    logger->set_formatter(MakeJsonFormatter());
  } else if (format == "text") {
    logger->set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("--log_format: it is '", format, "', but must be text or json."));
  }
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
  gpr_set_log_function(&LogOfGrpc);
  return absl::OkStatus();
}

}  // namespace atelier::server
