#include "client/calls/network_file.h"

#include <google/protobuf/util/json_util.h>

#include <cstdint>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/terminal/display_text.h"
#include "models/files/regular_file.h"

namespace atelier::client {
namespace {

// Hundreds of layers take a tenth of it.
constexpr std::int64_t kMaxBytes = std::int64_t{1} << 20;
// Characters of a name that a model can have, too.
constexpr std::size_t kMaxName = 40;

absl::Status Invalid(const std::string& path, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(EscapeControls(path), ": ", why));
}

absl::StatusOr<std::string> ReadText(const std::string& path) {
  const auto file = models::RegularFile::Open(path);
  if (!file.ok()) return absl::InvalidArgumentError(file.status().message());
  if (file->size() > kMaxBytes) {
    return Invalid(
        path, absl::StrCat("the file has ", file->size(), " bytes; a network has at most 1 MiB."));
  }
  std::string text(static_cast<std::size_t>(file->size()), '\0');
  if (const auto status = file->ReadExactly(0, text.data(), text.size()); !status.ok()) {
    return absl::InvalidArgumentError(status.message());
  }
  return text;
}

// What a network without a name is called: `my-net` for `nets/My_net.json`. Empty where nothing is
// left.
std::string NameOf(const std::string& path) {
  std::string name = std::filesystem::path(path).stem().string().substr(0, kMaxName);
  for (char& c : name) c = absl::ascii_isalnum(c) ? absl::ascii_tolower(c) : '-';
  return std::string(absl::StripSuffix(absl::StripPrefix(name, "-"), "-"));
}

}  // namespace

absl::StatusOr<v1::Network> ReadNetworkFile(const std::string& path) {
  const auto text = ReadText(path);
  if (!text.ok()) return text.status();
  v1::Network network;
  const auto status = google::protobuf::util::JsonStringToMessage(*text, &network);
  if (!status.ok()) {
    const auto message = status.message();
    return Invalid(path, absl::StrCat("this is no network in JSON: ",
                                      EscapeControls({message.data(), message.size()}),
                                      "\n  `atelier network show cnn-1 --output=json` prints one "
                                      "to start from."));
  }
  if (network.name().empty()) network.set_name(NameOf(path));
  return network;
}

std::string NetworkJson(const v1::Network& network) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(network, &json, options);
  return status.ok() ? json : "";
}

}  // namespace atelier::client
