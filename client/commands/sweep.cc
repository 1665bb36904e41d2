// `atelier sweep`: trains every combination of some options, with several seeds.
#include <memory>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "client/calls/arguments.h"
#include "client/calls/request_id.h"
#include "client/calls/spec_fields.h"
#include "client/commands/commands.h"
#include "client/commands/experiment_follow.h"
#include "client/comparing/sweep_grid.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

struct SweepCommandOptions {
  SweepOptions sweep;
  std::string request_id;
  bool detach = false;
  FollowOptions follow;
};

// A wrong field of a configuration, by its flag and value: `--epochs=0`.
std::string NameField(const v1::StartExperimentRequest& request, absl::string_view field) {
  const std::vector<std::string> parts = absl::StrSplit(field, absl::MaxSplits("].", 1));
  absl::string_view place = parts[0];
  int index = 0;
  if (parts.size() != 2 || !absl::ConsumePrefix(&place, "configurations[") ||
      !absl::SimpleAtoi(place, &index) || index < 0 || index >= request.configurations_size()) {
    if (field == "seeds") return "--seed";
    return absl::StartsWith(field, "configurations") ? "the options" : FlagOf(field);
  }
  for (const SpecField known : SpecFields()) {
    if (known->name() != parts[1]) continue;
    const std::string value = ValueText(request.configurations(index), known);
    return value.empty() ? OptionOf(known) : absl::StrCat(OptionOf(known), "=", value);
  }
  return FlagOf(absl::StrCat("spec.", parts[1]));
}

// A wrong value that many configurations share is reported once.
absl::Status WithoutRepeats(const absl::Status& status) {
  std::set<std::string> known;
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    if (known.insert(std::string(line)).second) lines.emplace_back(line);
  }
  return absl::Status(status.code(), absl::StrJoin(lines, "\n"));
}

std::string StartedText(Session& session, const v1::Experiment& experiment) {
  const std::string id(Leaf(experiment.name()));
  return absl::StrCat(session.style().Paint(Ink::kBold, id), "  ",
                      Count(experiment.configurations_size(), "configuration"), ", ",
                      Count(experiment.seeds_size(), "seed"),
                      " each: ", Count(experiment.runs_size(), "run"), "\n");
}

absl::StatusOr<int> Sweep(Session& session, const SweepCommandOptions& options) {
  auto request = MakeSweep(options.sweep);
  if (!request.ok()) return request.status();
  request->set_request_id(options.request_id.empty() ? RandomRequestId() : options.request_id);
  CallOptions call{.repeats = 2};
  call.name_field = [&request](absl::string_view field) { return NameField(*request, field); };
  const auto experiment = session.Call(&ExperimentService::StartExperiment, *request, call);
  if (!experiment.ok()) return WithoutRepeats(experiment.status());
  if (session.text()) session.Print(StartedText(session, *experiment));
  if (!options.detach) {
    session.terminal().out << std::flush;
    return FollowExperiment(session, *experiment, options.follow);
  }
  if (session.format() == OutputFormat::kJson) session.PrintJson(*experiment);
  if (session.format() == OutputFormat::kCsv) {
    session.Print(CsvLine({"name"}) + CsvLine({experiment->name()}));
  }
  if (session.text()) {
    session.Print(absl::StrCat("  ",
                               session.Suggest(absl::StrCat("watch ", Leaf(experiment->name()))),
                               "   follows it\n"));
  }
  return kDone;
}

void AddSpecOptions(CLI::App* command, const std::shared_ptr<SweepCommandOptions>& options) {
  for (const SpecField field : SpecFields()) {
    const std::string flag = OptionOf(field);
    std::string help = "As for train; a list: a,b,c";
    if (field->is_repeated()) help = "As for train; lists: 32,64/32,64,128";
    if (field->enum_type() != nullptr) help = absl::StrJoin(EnumWords(field->enum_type()), ", ");
    command
        ->add_option_function<std::string>(
            flag,
            [options, flag](const std::string& value) { options->sweep.values[flag] = value; },
            help)
        ->type_name("LIST");
  }
}

}  // namespace

void AddSweep(CommandSet* commands) {
  const auto options = std::make_shared<SweepCommandOptions>();
  CLI::App* const command = commands->Add(
      {"sweep",
       "Train every combination of options",
       "Every option of train may be a list. The runs wait in the experiment and become jobs\n"
       "as the queue has room; at most 1,000. Ctrl-C detaches; the experiment continues.\n"
       "Exit codes: 0 all completed, 100 some failed, 103 stopped, 130 detached, 1 any error.",
       {{"atelier sweep --preset dense,cnn-1,cnn-2,cnn-3 --seeds 5", "does depth pay off?"},
        {"atelier sweep --preset cnn-2 --learning-rate 0.001,0.003 --dropout 0.2,0.3,0.5", ""},
        {"atelier sweep --preset cnn-3 --batch-size 64,128,256 --random 2 --seed 7", "a sample"}}},
      [options](Session& session) { return Sweep(session, *options); });
  AddSpecOptions(command, options);
  command->add_option("--seed", options->sweep.seed, "Seeds, or the first of them [random]")
      ->type_name("LIST");
  command->add_option("--seeds", options->sweep.seeds, "Seeds per configuration, from --seed or 1")
      ->type_name("N")
      ->check(AtLeast(1));
  command
      ->add_option("--random", options->sweep.random,
                   "Random sample of N configurations, by first seed")
      ->type_name("N")
      ->check(AtLeast(1));
  command
      ->add_option("--name", options->sweep.name,
                   "Prefix of the experiment's and jobs' names [sweep]")
      ->type_name("BASE");
  command
      ->add_option("--request-id", options->request_id,
                   "Idempotency key: a repeated ID starts nothing new")
      ->type_name("ID");
  command->add_flag("--detach", options->detach, "Start it and return at once");
  AddFollowOptions(command, &options->follow);
}

}  // namespace atelier::client
