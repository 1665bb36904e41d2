#include "client/calls/server_contexts.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/terminal/display_text.h"
#include "models/files/durable_file.h"
#include "models/files/file_io.h"

namespace atelier::client {
namespace {

constexpr std::int64_t kMaxFile = 1 << 20;
constexpr const char* kKeys[] = {"server", "tls-ca", "tls-cert", "tls-key", "token-file"};

absl::Status WrongLine(int number, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", number, ": ", what));
}

std::string HomeFolder() {
  const char* const home = std::getenv("HOME");
  return home == nullptr ? "" : home;
}

std::string PathIn(const std::string& folder, absl::string_view text) {
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "~/")) return absl::StrCat(HomeFolder(), "/", rest);
  return (std::filesystem::path(folder) / std::string(text)).string();
}

// `key = value` of a context, or of the lines before the first.
absl::Status TakeValue(absl::string_view key, absl::string_view value, const std::string& folder,
                       const std::string& section, ServerContexts* contexts) {
  if (value.empty()) return absl::InvalidArgumentError(absl::StrCat(key, " has no value"));
  if (section.empty()) {
    if (key != "current") {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", EscapeControls(key), "' stands before the first [NAME]; only current may"));
    }
    contexts->current = std::string(value);
    return absl::OkStatus();
  }
  if (std::find(std::begin(kKeys), std::end(kKeys), key) == std::end(kKeys)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", EscapeControls(key), "' is no key; it must be ", absl::StrJoin(kKeys, ", ")));
  }
  contexts->by_name[section][std::string(key)] =
      key == "server" ? std::string(value) : PathIn(folder, value);
  return absl::OkStatus();
}

std::string NamesOf(const ServerContexts& contexts) {
  std::vector<std::string> names;
  for (const auto& [name, context] : contexts.by_name) names.push_back(EscapeControls(name));
  return names.empty() ? "none" : absl::StrJoin(names, ", ");
}

}  // namespace

std::string ContextsPath() {
  const char* const named = std::getenv("ATELIER_CONFIG");
  if (named != nullptr && *named != '\0') return named;
  const char* const config = std::getenv("XDG_CONFIG_HOME");
  if (config != nullptr && config[0] == '/') return absl::StrCat(config, "/atelier/config");
  const std::string home = HomeFolder();
  return home.empty() ? "" : absl::StrCat(home, "/.config/atelier/config");
}

absl::StatusOr<ServerContexts> ParseContexts(absl::string_view text, const std::string& folder) {
  ServerContexts contexts;
  std::string section;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    if (absl::ConsumePrefix(&line, "[")) {
      if (!absl::ConsumeSuffix(&line, "]") || line.empty()) {
        return WrongLine(number, "a context begins with its name in brackets, such as [lab]");
      }
      section = std::string(absl::StripAsciiWhitespace(line));
      contexts.by_name[section];
      continue;
    }
    const std::size_t equals = line.find('=');
    if (equals == absl::string_view::npos) {
      return WrongLine(number, "it must be [NAME] or KEY = VALUE");
    }
    const absl::Status taken =
        TakeValue(absl::StripAsciiWhitespace(line.substr(0, equals)),
                  absl::StripAsciiWhitespace(line.substr(equals + 1)), folder, section, &contexts);
    if (!taken.ok()) return WrongLine(number, taken.message());
  }
  return contexts;
}

absl::StatusOr<std::optional<ServerContext>> FindContext(const std::string& path,
                                                         const std::string& name) {
  std::error_code error;
  if (name.empty() && (path.empty() || !std::filesystem::exists(path, error))) return std::nullopt;
  const auto text = models::ReadWholeFile(path, kMaxFile);
  if (!text.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--context: the configuration file cannot be read: ",
                     EscapeControls(absl::StripSuffix(text.status().message(), ".")), "."));
  }
  const auto contexts = ParseContexts(*text, models::FolderOf(path));
  if (!contexts.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(EscapeControls(path), ", ", contexts.status().message(), "."));
  }
  const std::string& wanted = name.empty() ? contexts->current : name;
  if (wanted.empty()) return std::nullopt;
  const auto found = contexts->by_name.find(wanted);
  if (found != contexts->by_name.end()) return found->second;
  return absl::NotFoundError(absl::StrCat(EscapeControls(path), " has no context '",
                                          EscapeControls(wanted), "'; it has: ", NamesOf(*contexts),
                                          "."));
}

}  // namespace atelier::client
