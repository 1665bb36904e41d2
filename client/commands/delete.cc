// `atelier delete`: removes an ended job.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/arguments.h"
#include "client/commands/commands.h"
#include "client/exit_codes.h"

namespace atelier::client {
namespace {

absl::StatusOr<int> Delete(Session& session, const std::string& job) {
  v1::DeleteJobRequest request;
  auto name = JobName(job);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  const auto done = session.Call(&TrainingService::DeleteJob, request);
  if (!done.ok()) return done.status();
  if (session.format() == OutputFormat::kJson) session.PrintJson(*done);
  if (session.text()) {
    session.Print(absl::StrCat("Deleted ", Leaf(request.name()), "; its model stays.\n"));
  }
  return kDone;
}

}  // namespace

void AddDelete(CommandSet* commands) {
  const auto job = std::make_shared<std::string>();
  CLI::App* const command =
      commands->Add({"delete",
                     "Delete an ended job; its model stays",
                     "",
                     {{"atelier delete cnn-3-20260101-120000", ""}}},
                    [job](Session& session) { return Delete(session, *job); });
  command->add_option("JOB", *job, "The job")->required()->type_name("");
}

}  // namespace atelier::client
