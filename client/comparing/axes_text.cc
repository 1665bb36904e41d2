#include "client/comparing/axes_text.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "client/comparing/axes.h"
#include "client/comparing/comparison_text.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

// Axes and groups beyond which the page of `atelier report` is the better view.
constexpr std::size_t kMaxAxes = 3;
constexpr std::size_t kMaxGroups = 12;

Sample TestAccuracy(const Configuration& configuration) {
  return configuration.Of(&v1::TrainingResult::test_accuracy);
}

// What the bars span: the accuracies and their deviations, with some room below so that the lowest
// has a bar.
struct Span {
  double low = std::numeric_limits<double>::infinity();
  double high = 0;
};

Span SpanOf(const std::vector<AxisGroup>& groups) {
  Span span;
  for (const AxisGroup& group : groups) {
    for (const Configuration* configuration : group.configurations) {
      const Sample sample = TestAccuracy(*configuration);
      span.low = std::min(span.low, sample.mean - sample.deviation);
      span.high = std::max(span.high, sample.mean + sample.deviation);
    }
  }
  const double room = std::max((span.high - span.low) / 4, 0.0005);
  // Whole tenths of a per cent, so that the ends are easily said.
  span.low = std::max(0.0, std::floor((span.low - room) * 1000) / 1000);
  span.high = std::min(1.0, std::ceil(span.high * 1000) / 1000);
  return span;
}

// Solid to one deviation below the mean, shaded to one above it.
std::string Bar(const Sample& sample, const Span& span, int width) {
  const auto place = [&](double value) {
    const double fraction = (value - span.low) / std::max(span.high - span.low, 1e-9);
    return static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * width));
  };
  const int solid = place(sample.mean - sample.deviation);
  const int end = place(sample.mean + sample.deviation);
  std::string bar;
  for (int i = 0; i < end; ++i) bar += i < solid ? "█" : "▒";
  return bar;
}

std::string AxisText(const ComparedAxis& axis, const std::vector<AxisGroup>& groups,
                     const Style& style, int width) {
  const Span span = SpanOf(groups);
  const bool several = groups.size() > 1;
  const int bar_width = std::clamp(width / 3, 10, 40);
  Table table({{several ? "with" : ""},
               {axis.title, axis.numeric() ? Table::Align::kRight : Table::Align::kLeft},
               {"test acc", Table::Align::kRight},
               {"seeds", Table::Align::kRight, true},
               {""}});
  for (const AxisGroup& group : groups) {
    for (std::size_t i = 0; i < group.configurations.size(); ++i) {
      const Sample sample = TestAccuracy(*group.configurations[i]);
      table.AddRow({i == 0 ? group.label : "",
                    axis.values[group.places[i]],
                    AccuracyText(sample),
                    absl::StrCat(sample.count),
                    {Bar(sample, span, bar_width), Ink::kCyan}});
    }
  }
  return absl::StrCat(
      "\n", style.Paint(Ink::kBold, absl::StrCat("Accuracy by ", axis.title)), "\n",
      table.Render(style, width),
      style.Paint(
          Ink::kDim,
          Wrap(absl::StrCat("Bars run from ", Percent(span.low, 1), " to ", Percent(span.high, 1),
                            "; shaded is one standard deviation on both sides of the mean."),
               width, 0)),
      "\n");
}

}  // namespace

std::string AxesText(const Comparison& comparison, const Style& style, int width) {
  const std::vector<ComparedAxis> axes = AxesOf(comparison);
  std::string text;
  for (std::size_t axis = 0; axis < std::min(axes.size(), kMaxAxes); ++axis) {
    const std::vector<AxisGroup> groups = GroupsAlong(comparison, axes, axis);
    const bool compared = std::any_of(groups.begin(), groups.end(), [](const AxisGroup& group) {
      return group.configurations.size() > 1;
    });
    if (compared && groups.size() <= kMaxGroups) {
      absl::StrAppend(&text, AxisText(axes[axis], groups, style, width));
    }
  }
  return text;
}

}  // namespace atelier::client
