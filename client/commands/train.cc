// `atelier train`: starts a job and follows it.
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_help.h"
#include "client/commands/commands.h"
#include "client/commands/start_job.h"

namespace atelier::client {
namespace {

// What --like names: a model's version has an @, other names are jobs'.
absl::StatusOr<std::string> LikeName(const std::string& text) {
  if (!absl::StartsWith(text, "models/") && !absl::StrContains(text, '@')) return JobName(text);
  const auto reference = ParseModel(text);
  if (!reference.ok()) return reference.status();
  return reference->ResourceName();
}

}  // namespace

void AddTrain(CommandSet* commands) {
  const auto options = std::make_shared<StartJobOptions>();
  CLI::App* const command = commands->Add(
      {"train",
       "Train a network and watch it",
       "Defaults are in [brackets], those of a recipe after its name. Ctrl-C detaches; the job\n"
       "continues. `atelier presets` and `atelier recipes` list what --preset and --recipe name.\n"
       "Exit codes: 0 completed, 100 failed, 103 stopped, 130 detached, 1 any error.",
       {{"atelier train --preset cnn-3", "three convolutional layers"},
        {"atelier train --preset dense --epochs 3 --seed 1", "short and reproducible"},
        {"atelier train --conv-depth 2 --name night --detach", "in the background"},
        {"atelier train --from cnn-3@1 --freeze 2 --dataset letters", "fine-tunes a model"},
        {"atelier --output=csv train --preset cnn-1", "one row per epoch"}}},
      [options](Session& session) { return StartJob(session, *options); });
  for (const SpecField field : FieldsInHelpOrder()) {
    if (!IsSetByServer(field)) AddSpecOption(command, field, options);
  }
  command
      ->add_option_function<std::string>(
          "--like",
          [options](const std::string& text) {
            auto name = LikeName(text);
            if (!name.ok()) throw CLI::ValidationError(std::string(name.status().message()));
            options->request.set_like(*std::move(name));
          },
          "Take all else but the seed from a job or MODEL@VERSION")
      ->type_name("JOB");
  AddStartOptions(command, options);
}

}  // namespace atelier::client
