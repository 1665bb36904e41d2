// Output for programs: protobuf JSON, one object per line, and CSV as in RFC 4180 with newlines as
// line ends. Thread-safe: pure functions.
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

// The same with extra text fields before the message's fields.
std::string JsonLine(const std::vector<std::pair<std::string, std::string>>& texts,
                     const google::protobuf::Message& message);

// The values on one line, ended by a newline, quoted where they must be.
std::string CsvLine(const std::vector<std::string>& values);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_OUTPUT_H_
