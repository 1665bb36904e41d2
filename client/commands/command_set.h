// The commands of the command line. Each has its own file and adds itself here, with its options
// and its action. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_COMMAND_SET_H_
#define ATELIER_CLIENT_COMMANDS_COMMAND_SET_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/calls/session.h"
#include "google/protobuf/descriptor.h"

namespace atelier::client {

class CommandSet {
 public:
  // Runs a command; returns the exit code.
  using Action = std::function<absl::StatusOr<int>(Session&)>;

  struct Description {
    std::string name;
    // A sentence: what it does.
    std::string summary;
    // More about it, after the options; may be empty.
    std::string details;
    // Command lines and what they do.
    std::vector<std::pair<std::string, std::string>> examples;
  };

  explicit CommandSet(CLI::App* app) : app_(app) {}

  // Commands added from here on are listed under this title in the help.
  void BeginGroup(std::string title) { group_ = std::move(title); }

  // Returns the command's own CLI11 object, for its options. With a family the command is typed
  // after the family's name.
  CLI::App* Add(const Description& description, Action action, CLI::App* family = nullptr);

  // A word before the commands of a family, such as `bench` in `bench classify`; itself in another
  // family if one is given.
  CLI::App* AddFamily(const std::string& name, const std::string& summary,
                      CLI::App* parent = nullptr);

  // The action of the command that was parsed.
  const Action& Selected() const;

 private:
  CLI::App* const app_;
  std::string group_;
  std::vector<std::pair<CLI::App*, Action>> commands_;
};

// The command of `app` with that name; null if there is none.
const CLI::App* FindCommand(const CLI::App& app, const std::string& name);

// A number of at least `minimum`.
CLI::Validator AtLeast(int minimum);

// A number from `minimum` to `maximum`.
CLI::Validator Between(double minimum, double maximum);

// The argument MODEL, also accepted as `--model`, of a command that needs a model.
CLI::Option* AddModelArgument(CLI::App* command, std::string* model,
                              const std::string& help =
                                  "NAME, NAME@VERSION, NAME@ALIAS, jobs/JOB "
                                  "or experiments/EXPERIMENT (best run)");

// An option that takes a duration, such as 8 (seconds), 8s, 500ms or 2m, from `minimum` to
// `maximum`.
struct DurationRange {
  absl::Duration minimum;
  absl::Duration maximum = absl::InfiniteDuration();
};
void AddDurationOption(CLI::App* command, const std::string& flag, absl::Duration* duration,
                       const std::string& help, const DurationRange& range);

// An option whose words are the values of an enum; `set` gets the one that was chosen.
void AddWordOption(CLI::App* command, const char* flag,
                   const google::protobuf::EnumDescriptor* type, const std::string& help,
                   const std::function<void(int)>& set);

// Examples as the help shows them.
std::string ExamplesText(const std::vector<std::pair<std::string, std::string>>& examples);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_COMMAND_SET_H_
