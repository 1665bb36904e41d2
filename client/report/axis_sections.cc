// The report's charts of accuracy against what the configurations differ in.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/comparing/axes.h"
#include "client/comparing/comparison_text.h"
#include "client/report/chart.h"
#include "client/report/html.h"
#include "client/report/page.h"

namespace atelier::client::report {
namespace {

using Result = v1::TrainingResult;

// Axes that are drawn, and values beyond which marks stand at round numbers.
constexpr std::size_t kMaxAxes = 4;
constexpr std::size_t kMaxMarked = 10;

Point PointOf(const AxisGroup& group, const ComparedAxis& axis, std::size_t member, double x) {
  const Configuration& configuration = *group.configurations[member];
  const Sample sample = configuration.Of(&Result::test_accuracy);
  Point point{.x = x,
              .y = sample.mean,
              .low = sample.mean - sample.deviation,
              .high = sample.mean + sample.deviation,
              .title = absl::StrCat(group.label, group.label.empty() ? "" : "\n", axis.title, " ",
                                    axis.values[group.places[member]], "\n", AccuracyText(sample),
                                    " test accuracy, ", sample.count,
                                    sample.count == 1 ? " seed" : " seeds"),
              .radius = 4.5,
              .singles = {}};
  if (sample.count < 2) return point;
  for (const Result* result : configuration.Results()) {
    point.singles.push_back(result->test_accuracy());
  }
  return point;
}

// Groups of a column stand side by side in it.
double PlaceInColumn(std::size_t column, std::size_t group, std::size_t groups) {
  constexpr double kUsed = 0.6;
  const double step = kUsed / static_cast<double>(groups);
  return static_cast<double>(column) + step * (static_cast<double>(group) + 0.5) - kUsed / 2;
}

Axis AxisFor(const ComparedAxis& compared) {
  Axis axis{.title = compared.title, .format = nullptr};
  if (compared.numeric()) {
    axis.logarithmic = compared.logarithmic();
    if (compared.values.size() <= kMaxMarked) axis.marks = compared.numbers;
    axis.format = [](double x) { return absl::StrFormat("%g", x); };
    return axis;
  }
  for (std::size_t i = 0; i < compared.values.size(); ++i) {
    axis.marks.push_back(static_cast<double>(i));
  }
  axis.room = 0.4;
  axis.format = [values = compared.values](double x) {
    return values[std::min(static_cast<std::size_t>(x + 0.5), values.size() - 1)];
  };
  return axis;
}

// A line for each group along numbers, points side by side along words.
std::string AxisChart(const ComparedAxis& axis, const std::vector<AxisGroup>& groups) {
  Chart chart{.title = absl::StrCat("Accuracy by ", axis.title),
              .x = AxisFor(axis),
              .y = {.title = "test accuracy",
                    .format = [](double y) { return absl::StrFormat("%.4g %%", y * 100); }},
              .series = {}};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    Series series{.name = groups[i].label,
                  .color = static_cast<int>(i),
                  .joined = axis.numeric(),
                  .points = {}};
    for (std::size_t j = 0; j < groups[i].places.size(); ++j) {
      const std::size_t place = groups[i].places[j];
      series.points.push_back(
          PointOf(groups[i], axis, j,
                  axis.numeric() ? axis.numbers[place] : PlaceInColumn(place, i, groups.size())));
    }
    chart.series.push_back(std::move(series));
  }
  return RenderChart(chart);
}

}  // namespace

std::string AxesSection(const ReportData& data) {
  const std::vector<ComparedAxis> axes = AxesOf(data.comparison);
  std::string charts;
  for (std::size_t axis = 0; axis < std::min(axes.size(), kMaxAxes); ++axis) {
    const std::vector<AxisGroup> groups = GroupsAlong(data.comparison, axes, axis);
    const bool compared = std::any_of(groups.begin(), groups.end(), [](const AxisGroup& group) {
      return group.configurations.size() > 1;
    });
    if (compared) absl::StrAppend(&charts, AxisChart(axes[axis], groups));
  }
  if (charts.empty()) return "";
  return absl::StrCat(
      "<section>\n<h2>What makes the difference</h2>\n<p class=\"note\">Dots are means over the "
      "seeds, with ± one standard deviation; rings are single seeds.</p>\n<div class=\"charts\">\n",
      charts, "</div>\n</section>\n");
}

}  // namespace atelier::client::report
