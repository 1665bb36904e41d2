// The report's sections about every run, and about how to repeat them.
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/following/scoring_text.h"
#include "client/report/html.h"
#include "client/report/page.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

using Facts = std::vector<std::pair<std::string, std::string>>;

std::vector<std::string> RunRow(const ReportData& data, const Configuration& configuration,
                                const Trial& trial) {
  const auto figure = [&](const std::string& text) {
    return trial.result.has_value() ? Escape(text) : std::string("–");
  };
  const v1::TrainingResult result = trial.result.value_or(v1::TrainingResult());
  std::string state = Escape(EnumWord(v1::RunState_descriptor(), trial.state));
  if (!trial.message.empty()) {
    absl::StrAppend(&state, "<div class=\"why\">", Escape(trial.message), "</div>");
  }
  return {Escape(LabelOf(data.comparison, configuration)),
          configuration.network.empty() ? "–" : absl::StrCat(trial.spec.seed()),
          figure(Percent(result.test_accuracy())),
          figure(Percent(result.validation_accuracy())),
          figure(absl::StrCat(result.best_epoch(), " of ", result.epochs_trained())),
          figure(Duration(absl::Seconds(result.training_seconds()))),
          state,
          Escape(trial.job.empty() ? "no job" : std::string(Leaf(trial.job))),
          Escape(ShortModel(result.model_version()))};
}

// Makes such a continued job while its origin's checkpoint is kept.
std::string ContinueCommand(const v1::TrainingSpec& spec) {
  std::string command = absl::StrCat("atelier continue ", Leaf(spec.continues()),
                                     " --epochs=", spec.epochs(), " --patience=", spec.patience());
  if (spec.has_freeze()) absl::StrAppend(&command, " --freeze=", spec.freeze());
  if (spec.schedule_start_epoch() == 0) return command;
  for (const SpecField field : SpecFields()) {
    const std::string value = ValueText(spec, field);
    if (IsOfSchedule(field) && !value.empty()) {
      absl::StrAppend(&command, " ", OptionOf(field), "=", value);
    }
  }
  return command;
}

std::string Commands(const Comparison& comparison) {
  std::string commands;
  for (const Configuration& configuration : comparison.configurations) {
    if (configuration.network.empty()) continue;
    if (!configuration.spec.continues().empty()) {
      for (const Trial& trial : configuration.trials) {
        absl::StrAppend(&commands, ContinueCommand(trial.spec), "\n");
      }
      continue;
    }
    std::vector<std::int64_t> seeds;
    for (const Trial& trial : configuration.trials) seeds.push_back(trial.spec.seed());
    absl::StrAppend(&commands, seeds.size() == 1 ? "atelier train" : "atelier sweep",
                    TrainOptions(configuration.spec), " --seed=", absl::StrJoin(seeds, ","), "\n");
  }
  return commands;
}

std::string EvaluationCommands(const std::vector<CloseLook>& evaluations) {
  std::string commands;
  for (const CloseLook& look : evaluations) {
    const v1::EvaluationSpec& spec = look.job.evaluation();
    absl::StrAppend(&commands, "atelier evaluate ", ShortModel(spec.model_version()),
                    " --dataset=", spec.dataset(), " --split=", SplitText(spec.split()), "\n");
  }
  return commands;
}

// What all configurations share stands once, what differs as a list.
Facts SpecFacts(const Comparison& comparison) {
  Facts facts;
  for (const SpecField field : SpecFields()) {
    std::set<std::string> known;
    std::vector<std::string> values;
    for (const Configuration& configuration : comparison.configurations) {
      if (configuration.network.empty()) continue;
      const std::string value = ValueText(configuration.spec, field);
      if (!value.empty() && known.insert(value).second) values.push_back(value);
    }
    if (!values.empty()) {
      facts.emplace_back(Escape(TitleOf(field)), Escape(absl::StrJoin(values, ", ")));
    }
  }
  return facts;
}

}  // namespace

std::string RunsSection(const ReportData& data) {
  if (data.comparison.trials() < 2) return "";
  std::vector<std::vector<std::string>> rows;
  for (const Configuration& configuration : data.comparison.configurations) {
    for (const Trial& trial : configuration.trials) {
      rows.push_back(RunRow(data, configuration, trial));
    }
  }
  return absl::StrCat("<section>\n<h2>Every run</h2>\n",
                      HtmlTable({{"configuration", false},
                                 {"seed"},
                                 {"test"},
                                 {"validation"},
                                 {"best epoch"},
                                 {"training"},
                                 {"state", false},
                                 {"job", false},
                                 {"model", false}},
                                rows),
                      "</section>\n");
}

std::string RepeatSection(const ReportData& data) {
  Facts facts = SpecFacts(data.comparison);
  std::set<std::int64_t> seeds;
  std::set<std::string> checksums;
  for (const Configuration& configuration : data.comparison.configurations) {
    for (const Trial& trial : configuration.trials) {
      if (!configuration.network.empty()) seeds.insert(trial.spec.seed());
      if (trial.result.has_value() && !trial.result->dataset_checksum().empty()) {
        checksums.insert(trial.result->dataset_checksum());
      }
    }
  }
  std::set<std::string> archives;
  for (const CloseLook& look : data.evaluations) {
    archives.insert(look.job.evaluation().sha256());
    if (look.job.has_evaluation_result()) {
      checksums.insert(look.job.evaluation_result().dataset_checksum());
    }
  }
  if (!seeds.empty()) facts.emplace_back("seeds", absl::StrJoin(seeds, ", "));
  if (!archives.empty()) {
    facts.emplace_back("models evaluated, SHA-256", Escape(absl::StrJoin(archives, ", ")));
  }
  if (!checksums.empty()) {
    facts.emplace_back("data, SHA-256", Escape(absl::StrJoin(checksums, ", ")));
  }
  for (const auto& [what, version] : data.server_versions) {
    facts.emplace_back(Escape(absl::StrCat("server: ", what)), Escape(version));
  }
  facts.emplace_back("client", Escape(data.client_version));
  return absl::StrCat(
      "<section>\n<h2>How to reproduce this</h2>\n",
      data.comparison.trials() == 0
          ? ""
          : "<p>The same specification and seed give the same weights on the same machine, bit for "
            "bit.</p>\n",
      "<pre>", Escape(Commands(data.comparison) + EvaluationCommands(data.evaluations)), "</pre>\n",
      HtmlPairs(facts), "</section>\n");
}

}  // namespace atelier::client::report
