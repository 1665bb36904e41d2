// What the client prints for programs: protobuf JSON, one object a line, and CSV as in RFC 4180
// with lines ended by newlines. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_TERMINAL_OUTPUT_H_
#define ATELIER_CLIENT_TERMINAL_OUTPUT_H_

#include <string>
#include <utility>
#include <vector>

#include "google/protobuf/message.h"

namespace atelier::client {

enum class OutputFormat { kText, kJson, kCsv };

// The message on one line, ended by a newline: field names as in the .proto files, zeros included.
std::string JsonLine(const google::protobuf::Message& message);

// The same with texts before the message's own fields, for what the client alone knows.
std::string JsonLine(const std::vector<std::pair<std::string, std::string>>& texts,
                     const google::protobuf::Message& message);

// The values on one line, ended by a newline, quoted where they must be.
std::string CsvLine(const std::vector<std::string>& values);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_OUTPUT_H_
