// `atelier watch`: follows a job that was started before.
#include <memory>

#include "client/arguments.h"
#include "client/commands/commands.h"
#include "client/commands/follow.h"

namespace atelier::client {
namespace {

struct WatchOptions {
  std::string job;
  FollowOptions follow;
};

absl::StatusOr<int> Watch(Session& session, const WatchOptions& options) {
  v1::GetJobRequest request;
  auto name = JobName(options.job);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  const auto job = session.Call(&TrainingService::GetJob, request);
  if (!job.ok()) return job.status();
  return FollowJob(session, *job, options.follow);
}

}  // namespace

void AddWatch(CommandSet* commands) {
  const auto options = std::make_shared<WatchOptions>();
  CLI::App* const command = commands->Add(
      {"watch",
       "Follow a job live, from its beginning",
       "A lost connection is waited for; nothing is shown twice and nothing is missed.\n"
       "Ctrl-C detaches; the job goes on. With --output=json every event is a line and the\n"
       "job the last one; with --output=csv every epoch is a row, and one that had to be\n"
       "repeated after a worker was lost is there twice: the later row counts.\n"
       "Exit codes: 0 completed, 100 failed, 103 stopped, 102 no such job, 130 detached,\n"
       "1 any error.",
       {{"atelier watch cnn-3-20260101-120000", ""},
        {"atelier --output=csv watch cnn-3-20260101-120000 > curve.csv", ""}}},
      [options](Session& session) { return Watch(session, *options); });
  command->add_option("JOB", options->job, "The job")->required()->type_name("");
  command->add_option("--after", options->follow.after_number, "Only events with higher numbers")
      ->type_name("NUMBER")
      ->check(AtLeast(0));
  AddFollowOptions(command, &options->follow);
}

}  // namespace atelier::client
