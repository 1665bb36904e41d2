// `atelier confusion`: prints the confusion matrix of a job's model.
#include <memory>

#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/comparing/confusion_text.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

absl::StatusOr<int> PrintConfusion(Session& session, const std::string& job) {
  v1::GetConfusionMatrixRequest request;
  auto name = JobName(job);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  const auto matrix = session.Call(&TrainingService::GetConfusionMatrix, request);
  if (!matrix.ok()) return matrix.status();
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(ConfusionText(*matrix, session.style(), session.terminal().width()));
      break;
    case OutputFormat::kJson:
      session.PrintJson(*matrix);
      break;
    case OutputFormat::kCsv:
      session.Print(ConfusionCsv(*matrix));
      break;
  }
  return kDone;
}

}  // namespace

void AddConfusion(CommandSet* commands) {
  const auto job = std::make_shared<std::string>();
  CLI::App* const command = commands->Add(
      {"confusion",
       "Show the confusion matrix of a job's model",
       "",
       {{"atelier confusion cnn-3-20260101-120000", ""},
        {"atelier --output=csv confusion cnn-3-20260101-120000", "the matrix only"}}},
      [job](Session& session) {
        return ExplainKind(session, *job, {Kind::kJob}, PrintConfusion(session, *job));
      });
  command->add_option("JOB", *job, "The job")->required()->type_name("");
}

}  // namespace atelier::client
