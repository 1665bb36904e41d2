#include "client/terminal/output.h"

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/util/json_util.h"

namespace atelier::client {

std::string JsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  // Fails only for times that no calendar has.
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) json = absl::StrCat("{\"error\":\"", absl::CEscape(status.ToString()), "\"}");
  return json + "\n";
}

std::string JsonLine(const std::vector<std::pair<std::string, std::string>>& texts,
                     const google::protobuf::Message& message) {
  std::string line = "{";
  for (const auto& [name, value] : texts) {
    // What is no UTF-8 is replaced rather than thrown about.
    const std::string quoted =
        nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    absl::StrAppend(&line, "\"", name, "\":", quoted, ",");
  }
  const std::string own = JsonLine(message);
  if (own == "{}\n" && line.size() > 1) line.pop_back();
  return line + own.substr(1);
}

std::string CsvLine(const std::vector<std::string>& values) {
  const auto append = [](std::string* line, const std::string& value) {
    if (value.find_first_of(",\"\r\n") == std::string::npos) {
      absl::StrAppend(line, value);
    } else {
      absl::StrAppend(line, "\"", absl::StrReplaceAll(value, {{"\"", "\"\""}}), "\"");
    }
  };
  return absl::StrJoin(values, ",", append) + "\n";
}

}  // namespace atelier::client
