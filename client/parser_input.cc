#include "client/parser_input.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands/command_set.h"
#include "proto/flags/spelling.h"

namespace atelier::client {
namespace {

constexpr char kModel[] = "--model";

// Whether any command has an option of that name.
bool HasOption(const CLI::App& app, const std::string& name) {
  if (app.get_option_no_throw(name) != nullptr) return true;
  const auto commands = app.get_subcommands(/*filter=*/{});
  return std::any_of(commands.begin(), commands.end(),
                     [&name](const CLI::App* command) { return HasOption(*command, name); });
}

// The number of arguments up to the command's name, for `bench classify` the second word; 0 if
// there is no command.
std::size_t EndOfCommand(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* command = &app;
  std::size_t end = 0;
  for (std::size_t i = 0; i < arguments.size() && arguments[i] != "--"; ++i) {
    const CLI::App* const next = FindCommand(*command, arguments[i]);
    if (next == nullptr) continue;
    command = next;
    end = i + 1;
    if (command->get_subcommands(/*filter=*/{}).empty()) break;
  }
  return end;
}

std::vector<std::string> WithModelFirst(const CLI::App& app, std::vector<std::string> arguments) {
  const std::size_t end = EndOfCommand(app, arguments);
  if (end == 0) return arguments;
  std::vector<std::string> models;
  std::vector<std::string> others;
  std::size_t i = end;
  for (; i < arguments.size() && arguments[i] != "--"; ++i) {
    if (arguments[i] == kModel && i + 1 < arguments.size()) {
      models.push_back(absl::StrCat(kModel, "=", arguments[++i]));
    } else if (absl::StartsWith(arguments[i], "--model=")) {
      models.push_back(arguments[i]);
    } else {
      others.push_back(arguments[i]);
    }
  }
  others.insert(others.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i), arguments.end());
  arguments.resize(end);
  arguments.insert(arguments.end(), models.begin(), models.end());
  arguments.insert(arguments.end(), others.begin(), others.end());
  return arguments;
}

}  // namespace

std::vector<std::string> ParserInput(const CLI::App& app, std::vector<std::string> arguments) {
  const auto known = [&app](absl::string_view name) {
    return HasOption(app, absl::StrCat("--", name));
  };
  for (std::string& argument : arguments) {
    if (argument == "--") break;
    argument = flags::Respell(argument, '_', '-', known);
  }
  return WithModelFirst(app, std::move(arguments));
}

}  // namespace atelier::client
