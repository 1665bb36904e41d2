// `atelier watch`: follows a job or an experiment.
#include <memory>
#include <variant>

#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/commands/experiment_follow.h"
#include "client/commands/follow.h"
#include "client/comparing/targets.h"

namespace atelier::client {
namespace {

struct WatchOptions {
  std::string name;
  FollowOptions follow;
};

absl::StatusOr<int> Watch(Session& session, const WatchOptions& options) {
  const auto target = GetTarget(session, options.name);
  if (!target.ok()) return target.status();
  if (const auto* experiment = std::get_if<v1::Experiment>(&*target)) {
    return FollowExperiment(session, *experiment, options.follow);
  }
  return FollowJob(session, std::get<v1::TrainingJob>(*target), options.follow);
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
       "1 any error.",
       {{"atelier watch cnn-3-20260101-120000", ""},
        {"atelier --output=csv watch cnn-3-20260101-120000 > curve.csv", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->name, {Kind::kJob, Kind::kExperiment},
                           Watch(session, *options));
      });
  command->add_option("NAME", options->name, "The job or experiment")->required()->type_name("");
  command->add_option("--after", options->follow.after_number, "Only events after this number")
      ->type_name("NUMBER")
      ->check(AtLeast(0));
  AddFollowOptions(command, &options->follow);
}

}  // namespace atelier::client
