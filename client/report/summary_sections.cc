// The report's sections about all runs: what came out, the comparison, the curves, what accuracy
// costs.
#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/calls/arguments.h"
#include "client/calls/spec_fields.h"
#include "client/comparing/comparison_text.h"
#include "client/following/job_text.h"
#include "client/report/chart.h"
#include "client/report/html.h"
#include "client/report/page.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

using Result = v1::TrainingResult;

std::string PercentMark(double fraction) { return absl::StrFormat("%.4g %%", fraction * 100); }

std::string LossMark(double loss) { return absl::StrFormat("%.4g", loss); }

// "3 completed, 1 failed": how many trials are in each state.
std::string StatesText(const Comparison& comparison) {
  std::map<v1::RunState, int> counts;
  for (const Configuration& configuration : comparison.configurations) {
    for (const Trial& trial : configuration.trials) ++counts[trial.state];
  }
  std::vector<std::string> parts;
  for (const auto& [state, count] : counts) {
    parts.push_back(absl::StrCat(count, " ", EnumWord(v1::RunState_descriptor(), state)));
  }
  return absl::StrJoin(parts, ", ");
}

std::string AskedText(const ReportData& data) {
  const Comparison& comparison = data.comparison;
  const auto configurations = static_cast<std::int64_t>(comparison.configurations.size());
  const auto trials = static_cast<std::int64_t>(comparison.trials());
  std::string text;
  if (trials == 1) {
    const v1::TrainingSpec& spec = comparison.configurations[0].spec;
    text = absl::StrCat(comparison.configurations[0].network, " was trained on ", spec.dataset(),
                        " for at most ", Count(spec.epochs(), "epoch"), ": ",
                        StatesText(comparison), ".");
  } else {
    std::vector<std::string> fields;
    for (const SpecField field : comparison.differing) fields.push_back(TitleOf(field));
    text = absl::StrCat(Count(configurations, "configuration"),
                        fields.empty() ? "" : " that differ in ", absl::StrJoin(fields, ", "),
                        configurations == 1 ? " was" : " were", " trained on ",
                        absl::StrJoin(comparison.datasets, " and "), " in ", Count(trials, "run"),
                        ": ", StatesText(comparison), ".");
  }
  return text;
}

std::string Tile(const std::string& value, const std::string& meaning) {
  return absl::StrCat("<li><b>", Escape(value), "</b><span>", Escape(meaning), "</span></li>\n");
}

std::string Tiles(const Comparison& comparison) {
  const Configuration* best = Recommend(comparison).best;
  if (best == nullptr) return "";
  const bool several = comparison.configurations.size() > 1;
  const std::string of = several ? absl::StrCat(", ", LabelOf(comparison, *best)) : "";
  std::string html = "<ul class=\"tiles\">\n";
  absl::StrAppend(&html, Tile(AccuracyText(best->Of(&Result::test_accuracy)),
                              absl::StrCat("test accuracy", of)));
  absl::StrAppend(&html,
                  Tile(Loss(best->Of(&Result::test_loss).mean), absl::StrCat("test loss", of)));
  absl::StrAppend(&html, Tile(Count(best->Results().front()->parameter_count()),
                              absl::StrCat("parameters", of)));
  absl::StrAppend(&html, Tile(Duration(absl::Seconds(best->Of(&Result::training_seconds).mean)),
                              absl::StrCat("training time", of)));
  return html + "</ul>\n";
}

Point PointOf(const Configuration& configuration, double x, const std::string& label,
              const std::string& x_text) {
  const Sample sample = configuration.Of(&Result::test_accuracy);
  return {.x = x,
          .y = sample.mean,
          .low = sample.mean - sample.deviation,
          .high = sample.mean + sample.deviation,
          .title = absl::StrCat(label, "\n", AccuracyText(sample), " test accuracy\n", x_text)};
}

// A point for each configuration; `cost` tells its place and the words for it.
template <typename Cost>
std::string TradeOffChart(const Comparison& comparison, const std::string& title, Axis axis,
                          Cost cost) {
  Chart chart{.title = title,
              .x = std::move(axis),
              .y = {.title = "test accuracy", .format = PercentMark},
              .series = {},
              .legend = false};
  double low = HUGE_VAL;
  double high = 0;
  int color = 0;
  for (const Configuration& configuration : comparison.configurations) {
    const int own = color++;
    if (configuration.Results().empty()) continue;
    const std::string label = LabelOf(comparison, configuration);
    const auto [x, words] = cost(configuration);
    low = std::min(low, x);
    high = std::max(high, x);
    chart.series.push_back({.name = label,
                            .color = own,
                            .joined = false,
                            .points = {PointOf(configuration, x, label, words)}});
  }
  chart.x.logarithmic = low > 0 && high > 4 * low;
  return RenderChart(chart);
}

// The first epoch of a longer training is so far off that the others could not be told apart.
double FirstShown(const ReportData& data) {
  const bool longer = std::any_of(data.epochs.begin(), data.epochs.end(),
                                  [](const auto& job) { return job.second.size() >= 5; });
  return longer ? 2 : 1;
}

// For all charts of a section, since a configuration has the same colour everywhere.
std::string SharedLegend(const Comparison& comparison) {
  std::vector<Series> series;
  for (const Configuration& configuration : comparison.configurations) {
    const int color = static_cast<int>(series.size());
    series.push_back({.name = LabelOf(comparison, configuration), .color = color, .points = {}});
  }
  return RenderLegend(series);
}

// One figure of all epochs: a line for each configuration (the mean over its seeds), a band from
// the lowest to the highest seed, and every run in the background.
std::string CurveChart(const ReportData& data, const std::string& title, const std::string& unit,
                       double (v1::EpochMetrics::*figure)() const, std::string (*format)(double)) {
  Chart chart{.title = title,
              .x = {.title = "epoch",
                    .whole = true,
                    .format = [](double x) { return absl::StrFormat("%g", x); }},
              .y = {.title = unit, .format = format},
              .series = {},
              .spans_from = FirstShown(data),
              .legend = false};
  int color = 0;
  for (const Configuration& configuration : data.comparison.configurations) {
    const int own = color++;
    const std::string label = LabelOf(data.comparison, configuration);
    std::map<int, std::vector<double>> by_epoch;
    for (const Trial& trial : configuration.trials) {
      const auto epochs = data.epochs.find(trial.job);
      if (epochs == data.epochs.end()) continue;
      Series run{.name = label, .color = own, .faint = true, .joined = true, .points = {}};
      for (const v1::EpochMetrics& epoch : epochs->second) {
        const double value = (epoch.*figure)();
        by_epoch[epoch.epoch()].push_back(value);
        run.points.push_back({static_cast<double>(epoch.epoch()), value, value, value, ""});
      }
      if (configuration.trials.size() > 1) chart.series.push_back(std::move(run));
    }
    Series mean{.name = label, .color = own, .faint = false, .joined = true, .points = {}};
    for (const auto& [epoch, values] : by_epoch) {
      const auto [low, high] = std::minmax_element(values.begin(), values.end());
      const double middle = SampleOf(values).mean;
      mean.points.push_back(
          {static_cast<double>(epoch), middle, *low, *high,
           absl::StrCat(label, "\nepoch ", epoch, ": ", format(middle),
                        values.size() > 1 ? absl::StrCat(" (", format(*low), " to ", format(*high),
                                                         ", ", values.size(), " runs)")
                                          : "")});
    }
    chart.series.push_back(std::move(mean));
  }
  return RenderChart(chart);
}

// What makes results doubtful, with the runs that say so.
std::string ResultWarnings(const Comparison& comparison) {
  std::map<std::string, std::vector<std::string>> jobs;
  for (const Configuration& configuration : comparison.configurations) {
    for (const Trial& trial : configuration.trials) {
      if (!trial.result.has_value()) continue;
      for (const std::string& warning : trial.result->warnings()) {
        jobs[warning].emplace_back(Leaf(trial.job));
      }
    }
  }
  std::string html;
  for (const auto& [warning, names] : jobs) {
    absl::StrAppend(&html, "<p class=\"warning\">", Escape(warning), " (",
                    Escape(absl::StrJoin(names, ", ")), ")</p>\n");
  }
  return html;
}

// What trainings began with that did not begin with new weights, with the runs that did so.
std::string Starts(const Comparison& comparison) {
  std::map<std::string, std::vector<std::string>> jobs;
  for (const Configuration& configuration : comparison.configurations) {
    for (const Trial& trial : configuration.trials) {
      if (!trial.result.has_value() || !trial.result->has_start()) continue;
      jobs[StartText(trial.result->start())].emplace_back(Leaf(trial.job));
    }
  }
  std::string html;
  for (const auto& [start, names] : jobs) {
    absl::StrAppend(&html, "<p>Not trained from scratch: ", Escape(start), " (",
                    Escape(absl::StrJoin(names, ", ")), ").</p>\n");
  }
  return html;
}

}  // namespace

std::string SummarySection(const ReportData& data) {
  std::string html =
      absl::StrCat("<section>\n<p class=\"lead\">", Escape(AskedText(data)), "</p>\n");
  const std::string warning = DataWarning(data.comparison);
  if (!warning.empty()) {
    absl::StrAppend(&html, "<p class=\"warning\">", Escape(warning), "</p>\n");
  }
  absl::StrAppend(&html, Starts(data.comparison), ResultWarnings(data.comparison),
                  Tiles(data.comparison));
  const std::string advice = RecommendationText(data.comparison);
  if (!advice.empty()) {
    absl::StrAppend(&html, "<p class=\"advice\"><b>Recommendation.</b> ", Escape(advice), "</p>\n");
  }
  return html + "</section>\n";
}

std::string ComparisonSection(const ReportData& data) {
  const Comparison& comparison = data.comparison;
  std::vector<std::vector<std::string>> rows;
  for (const Configuration& configuration : comparison.configurations) {
    const auto results = configuration.Results();
    std::vector<double> best;
    for (const Result* result : results) best.push_back(result->best_epoch());
    const Sample loss = configuration.Of(&Result::test_loss);
    const auto figure = [&](const std::string& text) {
      return results.empty() ? "–" : Escape(text);
    };
    rows.push_back(
        {Escape(LabelOf(comparison, configuration)),
         absl::StrCat("<b>", Escape(AccuracyText(configuration.Of(&Result::test_accuracy))),
                      "</b>"),
         Escape(AccuracyText(configuration.Of(&Result::validation_accuracy))),
         Escape(AccuracyText(configuration.Of(&Result::test_ece, &Result::has_test_ece))),
         figure(loss.count > 1 ? absl::StrFormat("%s ± %.4f", Loss(loss.mean), loss.deviation)
                               : Loss(loss.mean)),
         results.empty() ? "–" : Count(results.front()->parameter_count()),
         figure(absl::StrFormat("%.1f", SampleOf(best).mean)),
         figure(Duration(absl::Seconds(configuration.Of(&Result::training_seconds).mean))),
         figure(Count(std::llround(configuration.Of(&Result::images_per_second).mean))),
         Escape(DoneText(configuration))});
  }
  return absl::StrCat("<section>\n<h2>Comparison</h2>\n",
                      HtmlTable({{"configuration", false},
                                 {"test accuracy"},
                                 {"validation accuracy"},
                                 {"ECE"},
                                 {"test loss"},
                                 {"parameters"},
                                 {"best epoch"},
                                 {"training"},
                                 {"images/s"},
                                 {"done", false}},
                                rows),
                      "<p class=\"note\">Mean ± standard deviation over the seeds. The test images "
                      "were scored once per run, with the weights that the validation images "
                      "chose.</p>\n</section>\n");
}

std::string CurvesSection(const ReportData& data) {
  using Epoch = v1::EpochMetrics;
  return absl::StrCat(
      "<section>\n<h2>Curves</h2>\n<p class=\"note\">Lines show the mean over the seeds, bands "
      "the range from lowest to highest.",
      FirstShown(data) > 1 ? " The first epoch may be off the scale." : "", "</p>\n",
      SharedLegend(data.comparison), "<div class=\"charts\">\n",
      CurveChart(data, "Validation accuracy", "validation accuracy", &Epoch::validation_accuracy,
                 PercentMark),
      CurveChart(data, "Validation loss", "cross-entropy", &Epoch::validation_loss, LossMark),
      CurveChart(data, "Training accuracy", "training accuracy", &Epoch::training_accuracy,
                 PercentMark),
      CurveChart(data, "Training loss", "cross-entropy", &Epoch::training_loss, LossMark),
      "</div>\n</section>\n");
}

std::string TradeOffSection(const ReportData& data) {
  const Comparison& comparison = data.comparison;
  if (comparison.configurations.size() < 2) return "";
  const auto parameters = [](const Configuration& configuration) {
    const auto count = configuration.Results().front()->parameter_count();
    return std::pair(static_cast<double>(count), Count(count) + " parameters");
  };
  const auto time = [](const Configuration& configuration) {
    const double seconds = configuration.Of(&Result::training_seconds).mean;
    return std::pair(seconds, Duration(absl::Seconds(seconds)) + " of training");
  };
  const auto count_mark = [](double x) {
    if (x >= 1e6) return absl::StrFormat("%g M", x / 1e6);
    return x >= 1e3 ? absl::StrFormat("%g k", x / 1e3) : absl::StrFormat("%g", x);
  };
  return absl::StrCat(
      "<section>\n<h2>What accuracy costs</h2>\n", SharedLegend(comparison),
      "<div class=\"charts\">\n",
      TradeOffChart(comparison, "Accuracy against parameters",
                    {.title = "parameters", .format = count_mark}, parameters),
      TradeOffChart(comparison, "Accuracy against training time",
                    {.title = "training time, seconds",
                     .format = [](double x) { return absl::StrFormat("%g", x); }},
                    time),
      "</div>\n<p class=\"note\">Error bars: ± one standard deviation.</p>\n</section>\n");
}

}  // namespace atelier::client::report
