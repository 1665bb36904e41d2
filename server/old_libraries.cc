#include "server/old_libraries.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace atelier::server {
namespace {

// How a program of dpkg's ended.
absl::StatusOr<launch::CommandResult> Ask(const launch::CommandRunner& run,
                                          const std::string& program,
                                          std::vector<std::string> arguments) {
  const auto path = launch::FindProgram(program);
  if (!path.ok()) return path.status();
  arguments.insert(arguments.begin(), *path);
  return run({.arguments = std::move(arguments), .environment = {"LC_ALL=C"}});
}

}  // namespace

std::vector<std::string> OldLibraries(const launch::CommandRunner& run) {
  std::vector<std::string> sentences;
  for (const absl::string_view library :
       absl::StrSplit(ATELIER_MENDED_LIBRARIES, ',', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> mended = absl::StrSplit(library, ' ');
    const auto installed =
        Ask(run, "dpkg-query", {"--show", "--showformat=${Version}", mended.first});
    if (!installed.ok() || installed->exit_code != 0 || installed->output.empty()) continue;
    const auto older =
        Ask(run, "dpkg", {"--compare-versions", installed->output, "lt", mended.second});
    if (older.ok() && older->exit_code == 0) {
      sentences.push_back(
          absl::StrCat(mended.first, " ", installed->output,
                       " has known holes, which imported pictures could use; install ",
                       mended.second, " or later (apt-get upgrade)."));
    }
  }
  return sentences;
}

}  // namespace atelier::server
