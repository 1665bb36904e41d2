// `atelier stop`: asks a job or an experiment to end.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/commands/experiment_follow.h"
#include "client/commands/follow.h"
#include "client/comparing/targets.h"
#include "client/following/job_text.h"
#include "client/terminal/exit_codes.h"
#include "proto/lifecycle/lifecycle.h"

namespace atelier::client {
namespace {

struct StopOptions {
  std::string name;
  bool wait = false;
  FollowOptions follow;
};

// What happens to the job next.
std::string Outlook(const Session& session, const v1::TrainingJob& job) {
  const std::string id(Leaf(job.name()));
  if (HasEnded(job.state())) return absl::StrCat(id, " is ", StateText(job.state()), ".\n");
  if (KindOf(job) != JobKind::kTraining) {
    return absl::StrCat(id, " is stopping; ",
                        job.has_import() ? "no data set is made" : "nothing of it is kept", ".\n  ",
                        session.Suggest("watch " + id), "   follows it to its end\n");
  }
  const int finished = job.progress().epoch() - 1;
  const std::string kept =
      finished > 0 ? absl::StrCat("its best epoch is evaluated and stored, after ", finished,
                                  " of ", job.spec().epochs(), " epochs or one more")
                   : "no epoch is complete yet, so it may end without a model";
  return absl::StrCat(id, " is stopping: ", kept, ".\n  ", session.Suggest("watch " + id),
                      "   follows it to its end\n");
}

absl::StatusOr<int> StopExperiment(Session& session, const v1::Experiment& experiment,
                                   const StopOptions& options) {
  v1::StopExperimentRequest request;
  request.set_name(experiment.name());
  const auto stopped = session.Call(&ExperimentService::StopExperiment, request, {.repeats = 2});
  if (!stopped.ok()) return stopped.status();
  if (options.wait) {
    const auto code = FollowExperiment(session, *stopped, options.follow);
    if (!code.ok()) return code.status();
    return *code == kJobStopped ? kDone : *code;
  }
  if (session.format() == OutputFormat::kJson) session.PrintJson(*stopped);
  if (session.text()) {
    session.Print(absl::StrCat(Leaf(stopped->name()), " is ", StandingText(*stopped), ".\n"));
  }
  return kDone;
}

absl::StatusOr<v1::TrainingJob> StopJob(Session& session, const std::string& text) {
  v1::StopJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  return session.Call(&TrainingService::StopJob, request, {.repeats = 2});
}

absl::StatusOr<int> Stop(Session& session, const StopOptions& options) {
  const auto job = StopJob(session, options.name);
  if (!job.ok()) {
    const auto experiment = GetExperimentInstead(session, options.name, job.status());
    if (!experiment.ok()) return experiment.status();
    return StopExperiment(session, *experiment, options);
  }
  if (options.wait) {
    const auto code = FollowJob(session, *job, options.follow);
    if (!code.ok()) return code.status();
    // Stopped is what was asked for.
    return *code == kJobStopped ? kDone : *code;
  }
  if (session.format() == OutputFormat::kJson) session.PrintJson(*job);
  if (session.format() == OutputFormat::kCsv) {
    session.Print(CsvLine(JobCsvNames()) + CsvLine(JobCsvValues(*job)));
  }
  if (session.text()) session.Print(Outlook(session, *job));
  return kDone;
}

}  // namespace

void AddStop(CommandSet* commands) {
  const auto options = std::make_shared<StopOptions>();
  CLI::App* const command = commands->Add(
      {"stop",
       "Stop a job or an experiment",
       "A job that completed at least one epoch is evaluated and its model is stored. Stopping an\n"
       "experiment stops its jobs and drops the runs that still wait.",
       {{"atelier stop cnn-3-20260101-120000", "return at once"},
        {"atelier stop cnn-3-20260101-120000 --wait", "wait until it has ended"}}},
      [options](Session& session) {
        return ExplainKind(session, options->name, {Kind::kJob, Kind::kExperiment},
                           Stop(session, *options));
      });
  command->add_option("NAME", options->name, "The job or experiment")->required()->type_name("");
  command->add_flag("--wait", options->wait, "Follow it until it has ended");
  AddFollowOptions(command, &options->follow);
}

}  // namespace atelier::client
