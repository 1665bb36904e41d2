#include "proto/flags/spelling.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace atelier::flags {

std::string Respell(absl::string_view argument, char from, char to,
                    const std::function<bool(absl::string_view name)>& known) {
  std::string respelled(argument);
  absl::string_view name = argument;
  if (!absl::ConsumePrefix(&name, "-")) return respelled;
  absl::ConsumePrefix(&name, "-");
  const std::size_t begin = argument.size() - name.size();
  const std::size_t end = std::min(argument.find('='), argument.size());
  if (begin >= end) return respelled;
  std::replace(respelled.begin() + static_cast<std::ptrdiff_t>(begin),
               respelled.begin() + static_cast<std::ptrdiff_t>(end), from, to);
  const bool changed = respelled != argument;
  const bool knows = changed && known(absl::string_view(respelled).substr(begin, end - begin));
  return knows ? respelled : std::string(argument);
}

void RespellArguments(int argc, char** argv, char from, char to,
                      const std::function<bool(absl::string_view name)>& known) {
  for (int i = 1; i < argc && absl::string_view(argv[i]) != "--"; ++i) {
    const std::string respelled = Respell(argv[i], from, to, known);
    std::copy(respelled.begin(), respelled.end(), argv[i]);
  }
}

}  // namespace atelier::flags
