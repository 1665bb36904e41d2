// `atelier continue`: trains an ended job further, as a new job.
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/calls/spec_help.h"
#include "client/commands/commands.h"
#include "client/commands/start_job.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

struct ContinueOptions {
  std::string job;
  SharedStartOptions start = std::make_shared<StartJobOptions>();
};

// `30` is the number of epochs in all, `+10` that of those to add.
void SetEpochs(absl::string_view text, v1::StartTrainingRequest* request) {
  const bool more = absl::ConsumePrefix(&text, "+");
  std::int32_t epochs = 0;
  if (!absl::SimpleAtoi(text, &epochs) || !absl::ascii_isdigit(text[0])) {
    throw CLI::ValidationError(absl::StrCat("--epochs: '", EscapeControls(text),
                                            "' is not a number of epochs such as 30, or +10 for "
                                            "ten more"));
  }
  request->clear_more_epochs();
  request->mutable_spec()->clear_epochs();
  if (more) {
    request->set_more_epochs(epochs);
  } else {
    request->mutable_spec()->set_epochs(epochs);
  }
}

// What may be given besides the epochs.
bool CanChange(SpecField field) {
  const auto& name = field->name();
  return IsOfSchedule(field) || name == "patience" || name == "freeze" || name == "cores" ||
         name == "memory_bytes" || name == "nodes" || name == "priority" || name == "model_name" ||
         name == "serving_precision" || name == "slurm_args";
}

absl::StatusOr<int> Continue(Session& session, const ContinueOptions& options) {
  auto name = JobName(options.job);
  if (!name.ok()) return name.status();
  options.start->request.set_continue_job(*std::move(name));
  return StartJob(session, *options.start);
}

}  // namespace

void AddContinue(CommandSet* commands) {
  const auto options = std::make_shared<ContinueOptions>();
  CLI::App* const command = commands->Add(
      {"continue",
       "Train an ended job further, as a new job",
       "The new job goes on from the last checkpoint of JOB: weights, optimizer, epochs. All that\n"
       "is not given is as in JOB. A learning rate or a schedule begins a schedule for the epochs\n"
       "that are added; without one, that of JOB goes on, which one_cycle and cosine cannot.\n"
       "Exit codes: 0 completed, 100 failed, 103 stopped, 130 detached, 1 any error.",
       {{"atelier continue cnn-3-20260101-120000 --epochs +10", "ten more epochs"},
        {"atelier continue night-20260101-120000 --epochs +5 --learning-rate 0.0003 --freeze 0",
         "at a lower rate, with all layers"}}},
      [options](Session& session) {
        return ExplainKind(session, options->job, {Kind::kJob}, Continue(session, *options));
      });
  command->add_option("JOB", options->job, "The job")->required()->type_name("");
  command
      ->add_option_function<std::string>(
          "--epochs",
          [options](const std::string& text) { SetEpochs(text, &options->start->request); },
          "Epochs in all, or +N for N more [JOB's]")
      ->type_name("N");
  for (const SpecField field : FieldsInHelpOrder()) {
    if (CanChange(field)) AddSpecOption(command, field, options->start);
  }
  AddStartOptions(command, options->start);
}

}  // namespace atelier::client
