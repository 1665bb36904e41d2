// `atelier compare`: trainings side by side.
#include <memory>
#include <string>
#include <vector>

#include "client/calls/resource_kind.h"
#include "client/commands/commands.h"
#include "client/comparing/comparison.h"
#include "client/comparing/comparison_text.h"
#include "client/comparing/targets.h"
#include "client/terminal/exit_codes.h"

namespace atelier::client {
namespace {

absl::StatusOr<int> CompareNamed(Session& session, const std::vector<std::string>& names) {
  auto named = GetNamed(session, names);
  if (!named.ok()) return named.status();
  const Comparison comparison = Compare(std::move(named->trials));
  switch (session.format()) {
    case OutputFormat::kText:
      session.Print(ComparisonText(comparison, session.style(), session.terminal().width()));
      break;
    case OutputFormat::kJson:
      session.Print(ComparisonJson(comparison));
      break;
    case OutputFormat::kCsv:
      session.Print(ComparisonCsv(comparison));
      break;
  }
  return kDone;
}

}  // namespace

void AddCompare(CommandSet* commands) {
  const auto names = std::make_shared<std::vector<std::string>>();
  CLI::App* const command = commands->Add(
      {"compare",
       "Compare experiments and jobs in a table",
       "Jobs that differ only in the seed form one row: mean ± standard deviation. The\n"
       "recommendation is based on validation accuracy, never on the test set.",
       {{"atelier compare depth-study-20260101-120000", "an experiment"},
        {"atelier compare cnn-2-20260101-120000 cnn-3-20260101-130000", "jobs"},
        {"atelier --output=csv compare depth-study-20260101-120000", "all metrics"}}},
      [names](Session& session) {
        return ExplainKind(session, names->front(), {Kind::kJob, Kind::kExperiment},
                           CompareNamed(session, *names));
      });
  command->add_option("NAME", *names, "Experiments and jobs")->required()->type_name("");
}

}  // namespace atelier::client
