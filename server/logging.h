// How the server's log looks: one line an event on standard error, for people or as JSON objects.
#ifndef ATELIER_SERVER_LOGGING_H_
#define ATELIER_SERVER_LOGGING_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "spdlog/common.h"
#include "spdlog/formatter.h"

namespace atelier::server {

// What an event is about, by name: job, model, request, attempt, state, reason.
using LogFields = std::vector<std::pair<std::string, std::string>>;

// Logs one event: a sentence, and the fields by which programs find it. Never waits for a reader
// of the log: beyond some thousands of lines that were not read the oldest are dropped.
void LogEvent(spdlog::level::level_enum level, absl::string_view sentence, const LogFields& fields);

// The formatter of one JSON object a line: time (RFC 3339, UTC), level, message, and the fields.
std::unique_ptr<spdlog::formatter> MakeJsonFormatter();

// The formatter of one line of text an event: local time, level, sentence, name=value for each
// field. Control characters are written as escapes, so that a line is a line.
std::unique_ptr<spdlog::formatter> MakeTextFormatter();

// Sets up the default logger, and sends gRPC's own messages to it at level debug. `format` is text
// or json, `level` trace, debug, info, warning or error. INVALID_ARGUMENT naming the flag
// otherwise. Call before other threads log.
absl::Status SetUpLogging(const std::string& format, const std::string& level);

// Lines that were dropped since SetUpLogging, for standard error was not read.
std::uint64_t DroppedLogLines();

// Writes what is still to be written, for a second at most; nothing may be logged afterwards.
void EndLogging();

}  // namespace atelier::server

#endif  // ATELIER_SERVER_LOGGING_H_
