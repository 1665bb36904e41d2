#include "server/logging.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "grpc/support/log.h"
#include "nlohmann/json.hpp"
#include "server/log_output.h"
#include "spdlog/async.h"
#include "spdlog/pattern_formatter.h"
#include "spdlog/spdlog.h"

namespace atelier::server {
namespace {

// A message carries its fields behind the sentence, each begun by kField and divided by kValue:
// characters that no sentence of ours has.
constexpr char kField = '\x1e';
constexpr char kValue = '\x1f';
// Lines that may wait to be read.
constexpr std::size_t kQueue = 8192;

// spdlog's thread for the log. It ends under the lock that spdlog::thread_pool() takes, so what
// runs on it must not call that.
std::atomic<spdlog::details::thread_pool*> log_threads{nullptr};

struct Event {
  absl::string_view sentence;
  std::vector<std::pair<absl::string_view, absl::string_view>> fields;
};

Event Split(const spdlog::details::log_msg& message) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(absl::string_view(message.payload.data(), message.payload.size()), kField);
  Event event;
  event.sentence = parts.front();
  for (std::size_t i = 1; i < parts.size(); ++i) {
    event.fields.push_back(absl::StrSplit(parts[i], absl::MaxSplits(kValue, 1)));
  }
  return event;
}

void Append(absl::string_view text, spdlog::memory_buf_t* line) {
  line->append(text.data(), text.data() + text.size());
}

std::string Json(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// `%*` of the pattern: the rest of a JSON object.
class JsonMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& line) override {
    const Event event = Split(message);
    Append(Json(event.sentence), &line);
    for (const auto& [name, value] : event.fields) {
      Append(absl::StrCat(",", Json(name), ":", Json(value)), &line);
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JsonMessage>();
  }
};

// The text with control characters escaped.
std::string Printable(absl::string_view text) {
  std::string printable;
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      absl::StrAppend(&printable, absl::CHexEscape(absl::string_view(&c, 1)));
    } else {
      printable += c;
    }
  }
  return printable;
}

// `%*` of the pattern: the sentence, then name=value for each field.
class TextMessage final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& line) override {
    const Event event = Split(message);
    Append(Printable(event.sentence), &line);
    for (const auto& [name, value] : event.fields) {
      Append(absl::StrCat(" ", name, "=", Printable(value)), &line);
    }
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<TextMessage>();
  }
};

// Standard error; one for the process.
const std::shared_ptr<LogOutput>& Output() {
  static const auto* const output =
      new std::shared_ptr<LogOutput>(std::make_shared<LogOutput>(STDERR_FILENO, &DroppedLogLines));
  return *output;
}

void LogOfGrpc(gpr_log_func_args* args) { spdlog::debug("gRPC: {}", args->message); }

}  // namespace

std::unique_ptr<spdlog::formatter> MakeJsonFormatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
  formatter->add_flag<JsonMessage>('*').set_pattern(
      R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","message":%*})");
  return formatter;
}

std::unique_ptr<spdlog::formatter> MakeTextFormatter() {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<TextMessage>('*').set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %*");
  return formatter;
}

void LogEvent(spdlog::level::level_enum level, absl::string_view sentence,
              const LogFields& fields) {
  std::string payload(sentence);
  for (const auto& [name, value] : fields) {
    absl::StrAppend(&payload, std::string(1, kField), name, std::string(1, kValue), value);
  }
  spdlog::log(level, "{}", payload);
}

absl::Status SetUpLogging(const std::string& format, const std::string& level) {
  constexpr std::array<const char*, 5> kLevels = {"trace", "debug", "info", "warning", "error"};
  if (std::find(kLevels.begin(), kLevels.end(), level) == kLevels.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--log_level: it is '", level, "', but must be trace, debug, info, warning or error."));
  }
  if (spdlog::thread_pool() == nullptr) spdlog::init_thread_pool(kQueue, 1);
  log_threads = spdlog::thread_pool().get();
  auto logger = std::make_shared<spdlog::async_logger>(
      "atelierd", Output(), spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
  if (format == "json") {
    logger->set_formatter(MakeJsonFormatter());
  } else if (format == "text") {
    logger->set_formatter(MakeTextFormatter());
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("--log_format: it is '", format, "', but must be text or json."));
  }
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
  gpr_set_log_function(&LogOfGrpc);
  return absl::OkStatus();
}

std::uint64_t DroppedLogLines() {
  spdlog::details::thread_pool* const threads = log_threads.load();
  return threads == nullptr ? 0 : threads->overrun_counter();
}

void EndLogging() {
  Output()->EndSoon();
  // gRPC has threads of its own, which go on.
  gpr_set_log_function([](gpr_log_func_args*) {});
  spdlog::shutdown();
  log_threads = nullptr;
}

}  // namespace atelier::server
