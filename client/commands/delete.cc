// `atelier delete`: removes an ended job or experiment.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/arguments.h"
#include "client/commands/commands.h"
#include "client/exit_codes.h"
#include "client/targets.h"

namespace atelier::client {
namespace {

absl::StatusOr<int> DeleteExperiment(Session& session, const v1::Experiment& experiment) {
  v1::DeleteExperimentRequest request;
  request.set_name(experiment.name());
  const auto done = session.Call(&ExperimentService::DeleteExperiment, request);
  if (!done.ok()) return done.status();
  if (session.format() == OutputFormat::kJson) session.PrintJson(*done);
  if (session.text()) {
    session.Print(absl::StrCat("Deleted ", Leaf(request.name()), "; its jobs stay.\n"));
  }
  return kDone;
}

absl::StatusOr<google::protobuf::Empty> DeleteJob(Session& session, const std::string& text) {
  v1::DeleteJobRequest request;
  auto name = JobName(text);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  return session.Call(&TrainingService::DeleteJob, request);
}

absl::StatusOr<int> Delete(Session& session, const std::string& text) {
  const auto done = DeleteJob(session, text);
  if (!done.ok()) {
    const auto experiment = GetExperimentInstead(session, text, done.status());
    if (!experiment.ok()) return experiment.status();
    return DeleteExperiment(session, *experiment);
  }
  if (session.format() == OutputFormat::kJson) session.PrintJson(*done);
  if (session.text()) {
    session.Print(absl::StrCat("Deleted ", Leaf(text), "; its model stays.\n"));
  }
  return kDone;
}

}  // namespace

void AddDelete(CommandSet* commands) {
  const auto job = std::make_shared<std::string>();
  CLI::App* const command =
      commands->Add({"delete",
                     "Delete an ended job, keeping its model, or an experiment, keeping its jobs",
                     "",
                     {{"atelier delete cnn-3-20260101-120000", ""}}},
                    [job](Session& session) { return Delete(session, *job); });
  command->add_option("NAME", *job, "The job or experiment")->required()->type_name("");
}

}  // namespace atelier::client
