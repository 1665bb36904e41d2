// `atelier alias`: names a version of a model.
#include <memory>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"
#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/comparing/targets.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

struct AliasOptions {
  std::string model;
  std::string alias;
  bool remove = false;
  bool force = false;
};

absl::StatusOr<int> Alias(Session& session, const AliasOptions& options) {
  const auto reference = ModelOf(session, options.model);
  if (!reference.ok()) return reference.status();
  if (options.remove != reference->version.empty()) {
    return absl::InvalidArgumentError(
        options.remove
            ? "--remove takes the model without a version: `atelier alias NAME ALIAS --remove`."
            : "The version is missing: write NAME@VERSION, or experiments/NAME for the best run "
              "of a sweep.");
  }
  v1::SetAliasRequest request;
  request.set_name(reference->ModelName());
  request.set_alias(options.alias);
  request.set_force(options.force);
  if (!options.remove) {
    const auto version = GetVersion(session, *reference);
    if (!version.ok()) return version.status();
    request.set_version(version->version());
  }
  const auto model = session.Call(&ModelService::SetAlias, request);
  if (!model.ok()) return model.status();
  if (session.format() == OutputFormat::kJson) session.PrintJson(*model);
  if (session.text()) {
    const std::string name = absl::StrCat(reference->model, "@", EscapeControls(options.alias));
    session.Print(options.remove
                      ? absl::StrCat("Removed ", name, ".\n")
                      : absl::StrCat(name, " is now version ", request.version(), ".\n"));
  }
  return kDone;
}

}  // namespace

void AddAlias(CommandSet* commands) {
  const auto options = std::make_shared<AliasOptions>();
  CLI::App* const command = commands->Add(
      {"alias",
       "Point an alias such as `production` at a version",
       "Requests for MODEL@ALIAS then use that version; `latest` moves by itself. Moving an alias\n"
       "to a version with other classes or another image size needs --force, because it may\n"
       "break the clients that use the alias.",
       {{"atelier alias cnn-3@4 production", ""},
        {"atelier alias cnn-3@latest production", ""},
        {"atelier alias experiments/depth-study production", "the best run of a sweep"},
        {"atelier alias cnn-3 production --remove", ""}}},
      [options](Session& session) {
        return ExplainKind(session, options->model, {Kind::kModel}, Alias(session, *options));
      });
  AddModelArgument(command, &options->model,
                   "NAME@VERSION, NAME@ALIAS, jobs/JOB or experiments/EXPERIMENT (best run)");
  command->add_option("ALIAS", options->alias, "The alias")->required()->type_name("");
  CLI::Option* const remove = command->add_flag("--remove", options->remove, "Remove the alias");
  command->add_flag("--force", options->force, "Allow a version with other classes or image size")
      ->excludes(remove);
}

}  // namespace atelier::client
