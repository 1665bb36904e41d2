// Charts as inline SVG: lines with bands, or points with error bars, on labelled axes; every value
// is shown when the pointer rests on it. Colours are those of the page's style sheet (--c0 to --c6,
// which the colour-blind can tell apart); beyond seven series the dashes differ too. Thread-safe:
// pure functions.
#ifndef ATELIER_CLIENT_REPORT_CHART_H_
#define ATELIER_CLIENT_REPORT_CHART_H_

#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace atelier::client::report {

inline constexpr int kColors = 7;

struct Point {
  double x = 0;
  double y = 0;
  double low = 0;  // Of the band or error bar; the same as y for none.
  double high = 0;
  std::string title;                 // Shown for the point; empty for its plain values.
  double radius = 0;                 // Of its dot; 0 for that of the series.
  std::vector<double> singles = {};  // Measurements that it is the mean of.
};

struct Series {
  std::string name;
  int color = 0;       // Any number; colours repeat after kColors, dashes tell them apart.
  bool faint = false;  // Drawn thin, in the background, without values and without a legend.
  bool joined = true;  // By a line.
  std::vector<Point> points;
};

struct Axis {
  std::string title;  // With the unit.
  bool from_zero = false;
  bool logarithmic = false;        // Values must be above zero.
  bool whole = false;              // Marks stand at whole numbers alone.
  std::vector<double> marks = {};  // Where marks stand; empty for round numbers.
  // Beyond the first and the last of these marks, at least.
  double room = 0;
  std::function<std::string(double)> format;
};

struct Chart {
  std::string title;
  Axis x;
  Axis y;
  std::vector<Series> series;
  // The y axis spans the points from this x on; what lies outside is cut off.
  double spans_from = -std::numeric_limits<double>::infinity();
  bool compact = false;  // For half the width: less is drawn and marked, nothing smaller.
  bool legend = true;    // False where several charts share one, which RenderLegend makes.
};

// A <figure> with title, drawing and, where there are several series, a legend; says so where there
// is nothing to draw.
std::string RenderChart(const Chart& chart);

// Names and colours of the series; nothing for a single one.
std::string RenderLegend(const std::vector<Series>& series);

// At most about ten round numbers that span the two, for an axis.
std::vector<double> Ticks(double low, double high, int about);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_CHART_H_
