// `atelier watch`: follows a job or an experiment.
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/commands/experiment_follow.h"
#include "client/commands/follow.h"
#include "client/comparing/targets.h"
#include "client/terminal/display_text.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/output.h"

namespace atelier::client {
namespace {

struct WatchOptions {
  std::string name;
  std::string command;  // Run at the end; empty for none.
  FollowOptions follow;
};

absl::StatusOr<int> FollowTarget(Session& session, const Target& target,
                                 const FollowOptions& options) {
  if (const auto* experiment = std::get_if<v1::Experiment>(&target)) {
    return FollowExperiment(session, *experiment, options);
  }
  return FollowJob(session, std::get<v1::TrainingJob>(target), options);
}

// Runs the command with the job or experiment on its standard input. An error if it fails.
absl::Status RunAtEnd(Session& session, const WatchOptions& options) {
  const auto target = GetTarget(session, options.name);
  if (!target.ok()) return target.status();
  const std::string json = std::visit([](const auto& ended) { return JsonLine(ended); }, *target);
  std::FILE* const input = popen(options.command.c_str(), "w");
  if (input == nullptr) return absl::UnavailableError("--exec: no process can be started.");
  // A command may well end without reading it.
  std::signal(SIGPIPE, SIG_IGN);
  std::fwrite(json.data(), 1, json.size(), input);
  const int status = pclose(input);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("--exec: the command ended with ",
                                             WIFEXITED(status)
                                                 ? absl::StrCat("exit code ", WEXITSTATUS(status))
                                                 : absl::StrCat("signal ", WTERMSIG(status)),
                                             ": ", EscapeControls(options.command)));
}

absl::StatusOr<int> Watch(Session& session, const WatchOptions& options) {
  const auto target = GetTarget(session, options.name);
  if (!target.ok()) return target.status();
  const auto code = FollowTarget(session, *target, options.follow);
  if (!code.ok() || options.command.empty() || *code == kInterrupted) return code;
  if (const absl::Status ran = RunAtEnd(session, options); !ran.ok()) return ran;
  return code;
}

}  // namespace

void AddWatch(CommandSet* commands) {
  const auto options = std::make_shared<WatchOptions>();
  CLI::App* const command = commands->Add(
      {"watch",
       "Follow a job or an experiment live",
       "Survives a lost connection; no event is missed or shown twice. Ctrl-C detaches; the job\n"
       "continues. With --output=json each event is a line, and the job is the last line. With\n"
       "--output=csv each epoch is a row; an epoch repeated after a lost worker has two rows, of\n"
       "which the later counts.\n"
       "Exit codes: 0 completed, 100 failed, 103 stopped, 102 no such job, 130 detached,\n"
       "1 any error, one of --exec among them.",
       {{"atelier watch cnn-3-20260101-120000", ""},
        {"atelier watch cnn-3-20260101-120000 --exec 'mail -s ended me'", ""},
        {"atelier --output=csv watch cnn-3-20260101-120000 > curve.csv", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->name, {Kind::kJob, Kind::kExperiment},
                           Watch(session, *options));
      });
  command->add_option("NAME", options->name, "The job or experiment")->required()->type_name("");
  command->add_option("--after", options->follow.after_number, "Only events after this number")
      ->type_name("NUMBER")
      ->check(AtLeast(0));
  command
      ->add_option("--exec", options->command,
                   "Run this by the shell when it has ended, with it as JSON on standard input")
      ->type_name("COMMAND");
  AddFollowOptions(command, &options->follow);
}

}  // namespace atelier::client
