// `atelier confusion`: prints the confusion matrix of a job's model.
#include <memory>

#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/comparing/confusion_text.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

struct ConfusionOptions {
  std::string job;
  bool classes = false;
};

absl::StatusOr<int> PrintConfusion(Session& session, const ConfusionOptions& options) {
  v1::GetConfusionMatrixRequest request;
  auto name = JobName(options.job);
  if (!name.ok()) return name.status();
  request.set_name(*std::move(name));
  const auto matrix = session.Call(&TrainingService::GetConfusionMatrix, request);
  if (!matrix.ok()) return matrix.status();
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print((options.classes ? AllClassesText : ConfusionText)(*matrix, session.style(),
                                                                       session.terminal().width()));
      break;
    case OutputFormat::kJson:
      session.PrintJson(*matrix);
      break;
    case OutputFormat::kCsv:
      session.Print(options.classes ? AllClassesCsv(*matrix) : ConfusionCsv(*matrix));
      break;
  }
  return kDone;
}

}  // namespace

void AddConfusion(CommandSet* commands) {
  const auto options = std::make_shared<ConfusionOptions>();
  CLI::App* const command = commands->Add(
      {"confusion",
       "Show the confusion matrix of a job's model",
       "Of more than 30 classes the text shows the worst classes and pairs.",
       {{"atelier confusion cnn-3-20260101-120000", ""},
        {"atelier --output=csv confusion cnn-3-20260101-120000", "the matrix only"},
        {"atelier --output=csv confusion cnn-3-20260101-120000 --classes", "a line per class"}}},
      [options](Session& session) {
        return ExplainKind(session, options->job, {Kind::kJob}, PrintConfusion(session, *options));
      });
  command->add_option("JOB", options->job, "The job")->required()->type_name("");
  command->add_flag("--classes", options->classes,
                    "The metrics of every class, not the matrix; also as CSV");
}

}  // namespace atelier::client
