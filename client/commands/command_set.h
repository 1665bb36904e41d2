// The commands of the command line. Each lives in a file of its own and adds itself here: its
// options to CLI11, and what it does. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_COMMAND_SET_H_
#define ATELIER_CLIENT_COMMANDS_COMMAND_SET_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/calls/session.h"
#include "google/protobuf/descriptor.h"

namespace atelier::client {

class CommandSet {
 public:
  // Runs a command; returns the exit code.
  using Action = std::function<absl::StatusOr<int>(Session&)>;

  struct Description {
    std::string name;
    // What it does, a sentence.
    std::string summary;
    // More about it, after the options; may be empty.
    std::string details;
    // Command lines and what they do.
    std::vector<std::pair<std::string, std::string>> examples;
  };

  explicit CommandSet(CLI::App* app) : app_(app) {}

  // Commands added from here on stand under this title in the help.
  void BeginGroup(std::string title) { group_ = std::move(title); }

  // Returns the command's own CLI11 object, for its options. With a family the command is typed
  // after the family's name.
  CLI::App* Add(const Description& description, Action action, CLI::App* family = nullptr);

  // A word that does nothing but to stand before the commands of its family.
  CLI::App* AddFamily(const std::string& name, const std::string& summary);

  // What the parsed command line asks for.
  const Action& Selected() const;

 private:
  CLI::App* const app_;
  std::string group_;
  std::vector<std::pair<CLI::App*, Action>> commands_;
};

// A number of at least `minimum`.
CLI::Validator AtLeast(int minimum);

// A number from `minimum` to `maximum`.
CLI::Validator Between(double minimum, double maximum);

// An option whose words are the values of an enum; `set` gets the one that was chosen.
void AddWordOption(CLI::App* command, const char* flag,
                   const google::protobuf::EnumDescriptor* type, const std::string& help,
                   const std::function<void(int)>& set);

// Examples as the help shows them.
std::string ExamplesText(const std::vector<std::pair<std::string, std::string>>& examples);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_COMMAND_SET_H_
