// How the server's log looks: one line an event on standard error, for people or as JSON objects.
#ifndef ATELIER_SERVER_LOGGING_H_
#define ATELIER_SERVER_LOGGING_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "spdlog/formatter.h"

namespace atelier::server {

// The formatter of one JSON object a line: time (RFC 3339, UTC), level, message.
std::unique_ptr<spdlog::formatter> MakeJsonFormatter();

// Sets up the default logger, and sends gRPC's own messages to it at level debug. `format` is text
// or json, `level` trace, debug, info, warning or error. INVALID_ARGUMENT naming the flag
// otherwise. Call once, before other threads log.
absl::Status SetUpLogging(const std::string& format, const std::string& level);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_LOGGING_H_
