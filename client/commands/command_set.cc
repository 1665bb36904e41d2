#include "client/commands/command_set.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/terminal/display_text.h"
#include "proto/flags/duration.h"

namespace atelier::client {

CLI::App* CommandSet::Add(const Description& description, Action action, CLI::App* family) {
  CLI::App* const parent = family == nullptr ? app_ : family;
  CLI::App* const command = parent->add_subcommand(description.name, description.summary);
  command->group(family == nullptr ? group_ : "Commands");
  const std::string details =
      description.details.empty() ? "" : absl::StrCat(description.details, "\n\n");
  command->footer(absl::StrCat(details, ExamplesText(description.examples)));
  commands_.emplace_back(command, std::move(action));
  return command;
}

CLI::App* CommandSet::AddFamily(const std::string& name, const std::string& summary,
                                CLI::App* parent) {
  CLI::App* const family = (parent == nullptr ? app_ : parent)->add_subcommand(name, summary);
  family->group(parent == nullptr ? group_ : "Commands");
  family->require_subcommand(1);
  const std::string words = parent == nullptr ? name : absl::StrCat(parent->get_name(), " ", name);
  family->footer(absl::StrCat("`atelier help ", words, " COMMAND` describes a command."));
  return family;
}

const CommandSet::Action& CommandSet::Selected() const {
  // The parser insists on a command, so there is one. Without a filter only those that were parsed
  // are listed: a command after whose name another was typed is not the one.
  return std::find_if(commands_.begin(), commands_.end(),
                      [](const auto& command) {
                        return command.first->parsed() && command.first->get_subcommands().empty();
                      })
      ->second;
}

const CLI::App* FindCommand(const CLI::App& app, const std::string& name) {
  for (const CLI::App* const command : app.get_subcommands(/*filter=*/{})) {
    if (command->get_name() == name) return command;
  }
  return nullptr;
}

CLI::Validator AtLeast(int minimum) {
  return CLI::Validator(
      [minimum](const std::string& text) {
        double number = 0;
        if (absl::SimpleAtod(text, &number) && number < minimum) {
          return absl::StrCat(text, " is out of range (at least ", minimum, ").");
        }
        return std::string();
      },
      "");
}

CLI::Validator Between(double minimum, double maximum) {
  return CLI::Validator(
      [minimum, maximum](const std::string& text) {
        double number = 0;
        // The parser reports what is not a number.
        if (!absl::SimpleAtod(text, &number) || (number >= minimum && number <= maximum)) {
          return std::string();
        }
        return absl::StrCat(text, " is out of range (", minimum, " to ", maximum, ").");
      },
      "");
}

CLI::Option* AddModelArgument(CLI::App* command, std::string* model, const std::string& help) {
  return command->add_option("MODEL,--model", *model, help)->required()->type_name("");
}

void AddDurationOption(CLI::App* command, const std::string& flag, absl::Duration* duration,
                       const std::string& help, const DurationRange& range) {
  const auto set = [flag, duration, range](const std::string& text) {
    const auto value = flags::ParseDuration(text);
    if (!value.ok()) throw CLI::ValidationError(flag, EscapeControls(value.status().message()));
    if (*value < range.minimum || *value > range.maximum) {
      throw CLI::ValidationError(
          flag, absl::StrCat(text, " is out of range (", absl::FormatDuration(range.minimum),
                             " to ", absl::FormatDuration(range.maximum), ")."));
    }
    *duration = *value;
  };
  command->add_option_function<std::string>(flag, set, help)->type_name("TIME");
}

void AddWordOption(CLI::App* command, const char* flag,
                   const google::protobuf::EnumDescriptor* type, const std::string& help,
                   const std::function<void(int)>& set) {
  const auto parse = [flag, type, set](const std::string& word) {
    const auto value = ParseEnum(type, flag, word);
    if (!value.ok()) throw CLI::ValidationError(std::string(value.status().message()));
    set(*value);
  };
  command->add_option_function<std::string>(flag, parse, help)->type_name("HOW");
}

std::string ExamplesText(const std::vector<std::pair<std::string, std::string>>& examples) {
  int width = 0;
  for (const auto& [line, meaning] : examples) width = std::max(width, DisplayWidth(line));
  std::string text = "Examples:\n";
  for (const auto& [line, meaning] : examples) {
    absl::StrAppend(&text, "  ", meaning.empty() ? line : PadRight(line, width + 2), meaning, "\n");
  }
  text.pop_back();
  return text;
}

}  // namespace atelier::client
