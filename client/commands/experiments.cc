// `atelier experiments`: the list of experiments.
#include <algorithm>
#include <limits>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/calls/arguments.h"
#include "client/commands/commands.h"
#include "client/commands/experiment_follow.h"
#include "client/terminal/exit_codes.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

using Align = Table::Align;

constexpr int kLargestExperimentPage = 1000;

struct ExperimentsOptions {
  int limit = 20;
  bool all = false;
};

std::string ExperimentStateText(const v1::Experiment& experiment) {
  return EnumWord(v1::ExperimentState_descriptor(), experiment.state());
}

std::vector<std::string> CsvValues(const v1::Experiment& experiment) {
  return {experiment.name(),
          ExperimentStateText(experiment),
          absl::StrCat(experiment.configurations_size()),
          absl::StrCat(experiment.seeds_size()),
          absl::StrCat(RunCountOf(experiment)),
          absl::StrCat(RunCountOf(experiment, v1::RUN_STATE_COMPLETED)),
          absl::StrCat(RunCountOf(experiment, v1::RUN_STATE_FAILED))};
}

void AddRow(const v1::Experiment& experiment, Table* table) {
  const bool running = experiment.state() == v1::EXPERIMENT_STATE_RUNNING;
  table->AddRow({std::string(Leaf(experiment.name())),
                 {ExperimentStateText(experiment), running ? Ink::kCyan : Ink::kPlain},
                 absl::StrCat(experiment.configurations_size()),
                 absl::StrCat(experiment.seeds_size()),
                 absl::StrCat(RunCountOf(experiment, v1::RUN_STATE_COMPLETED), " of ",
                              RunCountOf(experiment)),
                 absl::StrCat(RunCountOf(experiment, v1::RUN_STATE_FAILED)),
                 {Age(ToTime(experiment.create_time()), absl::Now()), Ink::kDim}});
}

absl::StatusOr<int> Experiments(Session& session, const ExperimentsOptions& options) {
  Table table({{"experiment"},
               {"state"},
               {"configurations", Align::kRight, true},
               {"seeds", Align::kRight, true},
               {"completed", Align::kRight},
               {"failed", Align::kRight},
               {"started", Align::kLeft, true}});
  if (session.format() == OutputFormat::kCsv) {
    session.Print(CsvLine(
        {"name", "state", "configurations", "seeds", "runs", "completed_runs", "failed_runs"}));
  }
  v1::ListExperimentsRequest request;
  int left = options.all ? std::numeric_limits<int>::max() : options.limit;
  do {
    request.set_page_size(std::min(left, kLargestExperimentPage));
    const auto page = session.Call(&ExperimentService::ListExperiments, request);
    if (!page.ok()) return page.status();
    for (const v1::Experiment& experiment : page->experiments()) {
      if (session.format() == OutputFormat::kJson) session.PrintJson(experiment);
      if (session.format() == OutputFormat::kCsv) session.Print(CsvLine(CsvValues(experiment)));
      if (session.text()) AddRow(experiment, &table);
    }
    left -= page->experiments_size();
    request.set_page_token(page->next_page_token());
  } while (left > 0 && !request.page_token().empty());
  if (!session.text()) return kDone;
  session.Print(table.empty()
                    ? absl::StrCat("There are no experiments. `",
                                   session.Suggest("sweep --preset dense,cnn-1"), "` starts one.\n")
                    : table.Render(session.style(), session.terminal().width()));
  return kDone;
}

}  // namespace

void AddExperiments(CommandSet* commands) {
  const auto options = std::make_shared<ExperimentsOptions>();
  CLI::App* const command = commands->Add(
      {"experiments",
       "List experiments, newest first",
       "`atelier watch`, `stop` and `delete` also take experiments.",
       {{"atelier experiments", ""}, {"atelier watch depth-study-20260101-120000", ""}}},
      [options](Session& session) { return Experiments(session, *options); });
  auto* const limit =
      command->add_option("--limit", options->limit, "Maximum number of experiments [20]")
          ->type_name("N")
          ->check(AtLeast(1));
  command->add_flag("--all", options->all, "List every experiment")->excludes(limit);
}

}  // namespace atelier::client
