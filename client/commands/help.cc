// `atelier help`: prints the help of the program or of a command.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/commands/commands.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

absl::StatusOr<int> Help(Session& session, const CLI::App& program,
                         const std::vector<std::string>& words) {
  const CLI::App* command = &program;
  std::string name = program.get_name();
  for (const std::string& word : words) {
    command = FindCommand(*command, word);
    if (command == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("There is no command '", EscapeControls(word),
                                                     "'. `", name, " --help` lists the commands."));
    }
    absl::StrAppend(&name, " ", word);
  }
  session.Print(program.get_formatter()->make_help(command, name, CLI::AppFormatMode::Normal));
  return kDone;
}

}  // namespace

void AddHelp(CommandSet* commands) {
  const auto words = std::make_shared<std::vector<std::string>>();
  const auto program = std::make_shared<const CLI::App*>();
  CLI::App* const command = commands->Add(
      {"help",
       "Print the help of a command",
       "",
       {{"atelier help train", ""}, {"atelier help bench classify", ""}}},
      [words, program](Session& session) { return Help(session, **program, *words); });
  *program = command->get_parent();
  command->add_option("COMMAND", *words, "The command [the program]")->type_name("");
}

}  // namespace atelier::client
