#include "client/comparing/comparison_text.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/comparing/axes_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/output.h"

namespace atelier::client {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxDifferingColumns = 8;

std::string RunText(v1::RunState state) { return EnumWord(v1::RunState_descriptor(), state); }

std::string LossText(const Sample& sample) {
  if (sample.count == 0) return "–";
  const std::string mean = Loss(sample.mean);
  return sample.count == 1 ? mean : absl::StrFormat("%s ± %.4f", mean, sample.deviation);
}

std::string MeanText(const Sample& sample, int digits) {
  return sample.count == 0 ? "–" : absl::StrFormat("%.*f", digits, sample.mean);
}

Sample BestEpoch(const Configuration& configuration) {
  std::vector<double> epochs;
  for (const auto* result : configuration.Results()) epochs.push_back(result->best_epoch());
  return SampleOf(epochs);
}

Table::Column ColumnOf(SpecField field) { return {TitleOf(field), Table::Align::kLeft, false}; }

std::vector<SpecField> Shown(const Comparison& comparison) {
  std::vector<SpecField> fields;
  for (const SpecField field : comparison.differing) {
    const bool titled = field->name() == "preset" || field->name() == "network";
    if (!titled && fields.size() < kMaxDifferingColumns) fields.push_back(field);
  }
  return fields;
}

std::string NetworkText(const Configuration& configuration) {
  if (!configuration.network.empty()) return configuration.network;
  return std::string(Leaf(configuration.trials.front().job));
}

void AddRow(const Configuration& configuration, const std::vector<SpecField>& fields, bool best,
            Table* table) {
  using Result = v1::TrainingResult;
  const auto results = configuration.Results();
  std::vector<Table::Cell> cells = {{NetworkText(configuration), best ? Ink::kBold : Ink::kPlain}};
  for (const SpecField field : fields) cells.emplace_back(ValueText(configuration.spec, field));
  cells.emplace_back(DoneText(configuration));
  cells.emplace_back(results.empty() ? "–" : Count(results.front()->parameter_count()));
  cells.push_back({AccuracyText(configuration.Of(&Result::test_accuracy)),
                   best ? Ink::kBoldGreen : Ink::kPlain});
  cells.emplace_back(LossText(configuration.Of(&Result::test_loss)));
  cells.emplace_back(AccuracyText(configuration.Of(&Result::validation_accuracy)));
  cells.emplace_back(MeanText(BestEpoch(configuration), 1));
  const Sample seconds = configuration.Of(&Result::training_seconds);
  cells.emplace_back(seconds.count == 0 ? "–" : Duration(absl::Seconds(seconds.mean)));
  cells.emplace_back(
      AccuracyText(configuration.Of(&Result::test_macro_f1, &Result::has_test_macro_f1)));
  cells.emplace_back(AccuracyText(configuration.Of(&Result::test_ece, &Result::has_test_ece)));
  const Sample speed = configuration.Of(&Result::images_per_second);
  cells.emplace_back(speed.count == 0 ? "–" : Count(std::llround(speed.mean)));
  table->AddRow(std::move(cells));
}

// Seeds that several of the trials with a result have, in a sentence; empty if there is none.
std::string RepeatedSeeds(const Comparison& comparison, const Configuration& configuration) {
  std::set<std::int64_t> known;
  std::set<std::int64_t> repeated;
  for (const Trial& trial : configuration.trials) {
    const bool counts = trial.result.has_value() && !known.insert(trial.spec.seed()).second;
    if (counts) repeated.insert(trial.spec.seed());
  }
  if (repeated.empty()) return "";
  return absl::StrCat(LabelOf(comparison, configuration), ": seed ", absl::StrJoin(repeated, ", "),
                      " was trained more than once and counts once.");
}

// What a reader of the table should know.
std::vector<std::string> Notes(const Comparison& comparison) {
  std::vector<std::string> notes;
  const std::string warning = DataWarning(comparison);
  if (!warning.empty()) notes.push_back(warning);
  const auto hidden = static_cast<std::size_t>(
      std::count_if(comparison.differing.begin(), comparison.differing.end(),
                    [](SpecField field) { return field->name() != "preset"; }));
  if (hidden > kMaxDifferingColumns) {
    notes.push_back(absl::StrCat(hidden - kMaxDifferingColumns,
                                 " more options differ; --output=csv lists all of them."));
  }
  for (const Configuration& configuration : comparison.configurations) {
    if (configuration.HasOnlyStopped()) {
      notes.push_back(absl::StrCat(LabelOf(comparison, configuration),
                                   " was stopped early; its figures are from where it stopped."));
    }
    if (std::string words = RepeatedSeeds(comparison, configuration); !words.empty()) {
      notes.push_back(std::move(words));
    }
    for (const Trial& trial : configuration.trials) {
      if (trial.message.empty() || trial.state == v1::RUN_STATE_COMPLETED ||
          trial.state == v1::RUN_STATE_QUEUED || trial.state == v1::RUN_STATE_RUNNING) {
        continue;
      }
      notes.push_back(absl::StrCat(
          trial.job.empty() ? LabelOf(comparison, configuration) : std::string(Leaf(trial.job)),
          ": ", RunText(trial.state), ". ", trial.message));
    }
  }
  constexpr std::size_t kMaxNotes = 10;
  if (notes.size() > kMaxNotes) {
    const std::size_t more = notes.size() - kMaxNotes;
    notes.resize(kMaxNotes);
    notes.push_back(absl::StrCat("… and ", more, " more notes."));
  }
  return notes;
}

struct Figure {
  const char* name;
  double (v1::TrainingResult::*value)() const;
  // Null if every result has it.
  bool (v1::TrainingResult::*has)() const = nullptr;
};

constexpr Figure kFigures[] = {
    {"test_accuracy", &v1::TrainingResult::test_accuracy},
    {"test_loss", &v1::TrainingResult::test_loss},
    {"validation_accuracy", &v1::TrainingResult::validation_accuracy},
    {"validation_loss", &v1::TrainingResult::validation_loss},
    {"training_seconds", &v1::TrainingResult::training_seconds},
    {"images_per_second", &v1::TrainingResult::images_per_second},
    {"test_top5_accuracy", &v1::TrainingResult::test_top5_accuracy,
     &v1::TrainingResult::has_test_top5_accuracy},
    {"test_macro_f1", &v1::TrainingResult::test_macro_f1, &v1::TrainingResult::has_test_macro_f1},
    {"test_weighted_f1", &v1::TrainingResult::test_weighted_f1,
     &v1::TrainingResult::has_test_weighted_f1},
    {"test_ece", &v1::TrainingResult::test_ece, &v1::TrainingResult::has_test_ece},
    {"calibrated_test_ece", &v1::TrainingResult::calibrated_test_ece,
     &v1::TrainingResult::has_calibrated_test_ece},
    {"temperature", &v1::TrainingResult::temperature, &v1::TrainingResult::has_temperature},
};

// A field as JSON: a number where it is one, null where it is absent, or zero where absence cannot
// be told from it.
Json ValueJson(const v1::TrainingSpec& spec, SpecField field) {
  using google::protobuf::FieldDescriptor;
  const std::string text = PlainValueText(spec, field);
  const bool words = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING ||
                     field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM;
  if (!text.empty()) return words ? Json(text) : Json::parse(text);
  return words || field->has_presence() ? Json(nullptr) : Json(0);
}

Json TrialJson(const Trial& trial) {
  Json json;
  json["job"] = trial.job;
  json["seed"] = trial.spec.seed();
  json["state"] = RunText(trial.state);
  if (trial.result.has_value()) {
    json["test_accuracy"] = trial.result->test_accuracy();
    json["dataset_checksum"] = trial.result->dataset_checksum();
  }
  return json;
}

Json ConfigurationJson(const Comparison& comparison, const Configuration& configuration) {
  Json json;
  json["configuration"] = LabelOf(comparison, configuration);
  json["differing"] = Json::object();
  for (const SpecField field : comparison.differing) {
    json["differing"][field->name()] = ValueJson(configuration.spec, field);
  }
  for (const SpecField field : SpecFields()) {
    json["spec"][field->name()] = ValueJson(configuration.spec, field);
  }
  for (const Trial& trial : configuration.trials) json["trials"].push_back(TrialJson(trial));
  json["runs"] = configuration.trials.size();
  json["completed"] = configuration.CountOf(v1::RUN_STATE_COMPLETED);
  const auto results = configuration.Results();
  if (results.empty()) return json;
  json["parameter_count"] = results.front()->parameter_count();
  json["best_epoch"] = BestEpoch(configuration).mean;
  for (const Figure& figure : kFigures) {
    const Sample sample = configuration.Of(figure.value, figure.has);
    if (sample.count == 0) continue;
    json[figure.name] = sample.mean;
    if (sample.count > 1) json[absl::StrCat(figure.name, "_sd")] = sample.deviation;
  }
  return json;
}

}  // namespace

std::string AccuracyText(const Sample& sample) {
  if (sample.count == 0) return "–";
  if (sample.count == 1) return Percent(sample.mean);
  return absl::StrFormat("%s ± %.2f", Percent(sample.mean), sample.deviation * 100);
}

std::string DoneText(const Configuration& configuration) {
  std::string text = absl::StrCat(configuration.CountOf(v1::RUN_STATE_COMPLETED), " of ",
                                  configuration.trials.size());
  for (const v1::RunState state :
       {v1::RUN_STATE_RUNNING, v1::RUN_STATE_FAILED, v1::RUN_STATE_STOPPED, v1::RUN_STATE_DROPPED,
        v1::RUN_STATE_DELETED}) {
    const int count = configuration.CountOf(state);
    if (count > 0) absl::StrAppend(&text, ", ", count, " ", RunText(state));
  }
  return text;
}

std::string ComparisonText(const Comparison& comparison, const Style& style, int width) {
  using Align = Table::Align;
  const std::vector<SpecField> fields = Shown(comparison);
  std::vector<Table::Column> columns = {{"network", Align::kLeft, false}};
  for (const SpecField field : fields) columns.push_back(ColumnOf(field));
  columns.push_back({"done", Align::kLeft, false});
  columns.push_back({"parameters", Align::kRight, true});
  columns.push_back({"test acc", Align::kRight, false});
  columns.push_back({"test loss", Align::kRight, true});
  columns.push_back({"val acc", Align::kRight, true});
  columns.push_back({"best epoch", Align::kRight, true});
  columns.push_back({"training", Align::kRight, true});
  columns.push_back({"macro F1", Align::kRight, true});
  columns.push_back({"ECE", Align::kRight, true});
  columns.push_back({"images/s", Align::kRight, true});
  Table table(std::move(columns));
  const Recommendation recommended = Recommend(comparison);
  for (const Configuration& configuration : comparison.configurations) {
    AddRow(configuration, fields, &configuration == recommended.best, &table);
  }
  std::string text = table.Render(style, width);
  for (const std::string& note : Notes(comparison)) {
    absl::StrAppend(&text, style.Paint(Ink::kYellow, Wrap(note, width, 2)), "\n");
  }
  absl::StrAppend(&text, AxesText(comparison, style, width));
  const std::string advice = RecommendationText(comparison);
  if (!advice.empty()) absl::StrAppend(&text, "\n", Wrap(advice, std::min(width, 100), 0), "\n");
  return text;
}

Table ProgressTable(const Comparison& comparison) {
  using Align = Table::Align;
  Table table({{"configuration"},
               {"done"},
               {"test acc so far", Align::kRight},
               {"val acc so far", Align::kRight, true},
               {"now", Align::kLeft, true}});
  for (const Configuration& configuration : comparison.configurations) {
    std::string now;
    for (const Trial& trial : configuration.trials) {
      if (trial.state != v1::RUN_STATE_RUNNING) continue;
      absl::StrAppend(&now, now.empty() ? "" : "; ", "seed ", trial.spec.seed());
      if (trial.latest_epoch.has_value()) {
        absl::StrAppend(&now, " epoch ", trial.latest_epoch->epoch(), "/", trial.spec.epochs(), " ",
                        Percent(trial.latest_epoch->validation_accuracy(), 1));
      }
    }
    const auto waiting =
        configuration.CountOf(v1::RUN_STATE_WAITING) + configuration.CountOf(v1::RUN_STATE_QUEUED);
    const bool idle = now.empty() && waiting > 0;
    table.AddRow({LabelOf(comparison, configuration),
                  DoneText(configuration),
                  AccuracyText(configuration.Of(&v1::TrainingResult::test_accuracy)),
                  AccuracyText(configuration.Of(&v1::TrainingResult::validation_accuracy)),
                  {idle ? absl::StrCat(waiting, " waiting") : now, Ink::kDim}});
  }
  return table;
}

std::string ComparisonCsv(const Comparison& comparison) {
  std::vector<std::string> names = {"configuration"};
  for (const SpecField field : SpecFields()) names.push_back(field->name());
  names.insert(names.end(), {"runs", "completed", "parameter_count", "best_epoch"});
  for (const Figure& figure : kFigures) {
    names.push_back(figure.name);
    names.push_back(absl::StrCat(figure.name, "_sd"));
  }
  std::string csv = CsvLine(names);
  for (const Configuration& configuration : comparison.configurations) {
    const auto results = configuration.Results();
    std::vector<std::string> values = {LabelOf(comparison, configuration)};
    for (const SpecField field : SpecFields()) {
      values.push_back(PlainValueText(configuration.spec, field));
    }
    values.push_back(absl::StrCat(configuration.trials.size()));
    values.push_back(absl::StrCat(configuration.CountOf(v1::RUN_STATE_COMPLETED)));
    values.push_back(results.empty() ? "" : absl::StrCat(results.front()->parameter_count()));
    values.push_back(results.empty() ? "" : Exact(BestEpoch(configuration).mean));
    for (const Figure& figure : kFigures) {
      const Sample sample = configuration.Of(figure.value, figure.has);
      values.push_back(sample.count == 0 ? "" : Exact(sample.mean));
      values.push_back(sample.count < 2 ? "" : Exact(sample.deviation));
    }
    absl::StrAppend(&csv, CsvLine(values));
  }
  return csv;
}

std::string ComparisonJson(const Comparison& comparison) {
  std::string lines;
  for (const Configuration& configuration : comparison.configurations) {
    // What is no UTF-8 is replaced rather than thrown about.
    const Json json = ConfigurationJson(comparison, configuration);
    absl::StrAppend(&lines, json.dump(-1, ' ', false, Json::error_handler_t::replace), "\n");
  }
  return lines;
}

}  // namespace atelier::client
