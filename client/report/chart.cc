#include "client/report/chart.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/report/html.h"

namespace atelier::client::report {
namespace {

constexpr double kLeft = 76, kRight = 14, kTop = 12, kBottom = 48;
// Further room for slanted words, and the characters that have it.
constexpr double kSlant = 44;
constexpr std::size_t kMaxWord = 18;
// Values that are told for each series; of longer ones every n-th.
constexpr std::size_t kMaxTold = 80;
// Points of a line; more are not to be seen.
constexpr std::size_t kMaxPoints = 400;

std::vector<Point> Thinned(const std::vector<Point>& points, std::size_t most) {
  if (points.size() <= most) return points;
  std::vector<Point> kept;
  for (std::size_t i = 0; i < most; ++i) {
    kept.push_back(points[i * (points.size() - 1) / (most - 1)]);
  }
  return kept;
}

// From values to places along one side of the drawing.
class Scale {
 public:
  Scale(const Axis& axis, double low, double high, double begin, double end)
      : logarithmic_(axis.logarithmic && low > 0),
        whole_(axis.whole),
        marks_(axis.marks),
        begin_(begin),
        end_(end) {
    if (axis.from_zero && !logarithmic_) low = std::min(low, 0.0);
    low_ = Inner(low);
    high_ = Inner(high);
    const double span = high_ - low_;
    const double margin = span > 0 ? span * 0.05 : std::max(std::abs(high_) * 0.05, 1e-3);
    if (!axis.from_zero || logarithmic_) low_ -= margin;
    high_ += margin;
  }

  double At(double value) const {
    return begin_ + (Inner(value) - low_) / (high_ - low_) * (end_ - begin_);
  }

  std::vector<double> Marks(int about) const {
    if (!marks_.empty()) return marks_;
    std::vector<double> marks;
    if (!logarithmic_) {
      marks = Ticks(low_, high_, about);
      if (whole_) {
        marks.erase(
            std::remove_if(marks.begin(), marks.end(),
                           [](double mark) { return std::abs(mark - std::round(mark)) > 1e-9; }),
            marks.end());
      }
      return marks;
    }
    for (int power = static_cast<int>(std::floor(low_)); power <= high_; ++power) {
      for (const double step : {1.0, 2.0, 5.0}) {
        const double value = step * std::pow(10.0, power);
        if (Inner(value) >= low_ && Inner(value) <= high_) marks.push_back(value);
      }
    }
    return marks;
  }

 private:
  double Inner(double value) const { return logarithmic_ ? std::log10(value) : value; }

  const bool logarithmic_;
  const bool whole_;
  const std::vector<double> marks_;
  const double begin_;
  const double end_;
  double low_ = 0;
  double high_ = 1;
};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Add(double value) {
    if (!std::isfinite(value)) return;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

std::string Format(const Axis& axis, double value) {
  return axis.format ? axis.format(value) : absl::StrFormat("%g", value);
}

std::string Dashes(const Series& series) {
  static constexpr const char* kDashes[] = {"", "7 4", "2 3", "9 3 2 3"};
  const char* const dashes = kDashes[static_cast<std::size_t>(series.color / kColors) % 4];
  return *dashes == '\0' ? "" : absl::StrCat(" stroke-dasharray=\"", dashes, "\"");
}

// Words of names and numbers, so that each byte is a character.
std::string Shortened(const std::string& word) {
  return word.size() <= kMaxWord ? word : absl::StrCat(word.substr(0, kMaxWord - 1), "…");
}

// Whether the marks' words do not fit side by side.
bool Slanted(const Axis& axis, double width) {
  constexpr double kCharacter = 6.8;
  std::size_t longest = 0;
  for (const double mark : axis.marks) longest = std::max(longest, Format(axis, mark).size() + 1);
  return static_cast<double>(longest * axis.marks.size()) * kCharacter > width;
}

class Drawing {
 public:
  Drawing(const Chart& chart, const Range& x, const Range& y)
      : chart_(chart),
        width_(chart.compact ? 320 : 560),
        height_(chart.compact ? 200 : 320),
        slanted_(Slanted(chart.x, width_ - kLeft - kRight)),
        bottom_(kBottom + (slanted_ ? kSlant : 0)),
        x_(chart.x, x.low, x.high, kLeft, width_ - kRight),
        y_(chart.y, y.low, y.high, height_ - bottom_, kTop) {}

  std::string Render() const {
    std::string svg =
        absl::StrFormat("<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n", width_,
                        height_, Escape(chart_.title));
    DrawAxes(&svg);
    // A drawing of its own cuts off what lies outside; dots on the border stay whole.
    constexpr double kEdge = 6;
    const double width = width_ - kLeft - kRight + 2 * kEdge;
    const double height = height_ - kTop - bottom_ + 2 * kEdge;
    absl::StrAppendFormat(
        &svg, "<svg x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" viewBox=\"%g %g %g %g\">\n",
        kLeft - kEdge, kTop - kEdge, width, height, kLeft - kEdge, kTop - kEdge, width, height);
    for (const Series& series : chart_.series) DrawBand(series, &svg);
    for (const Series& series : chart_.series) DrawLine(series, &svg);
    for (const Series& series : chart_.series) DrawValues(series, &svg);
    absl::StrAppend(&svg, "</svg></svg>\n");
    return svg;
  }

 private:
  void DrawAxes(std::string* svg) const {
    for (const double mark : y_.Marks(chart_.compact ? 4 : 6)) {
      const double at = y_.At(mark);
      absl::StrAppendFormat(
          svg,
          "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>"
          "<text class=\"mark\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
          kLeft, width_ - kRight, at, at, kLeft - 7, at + 4, Escape(Format(chart_.y, mark)));
    }
    for (const double mark : x_.Marks(chart_.compact ? 4 : 7)) {
      const double at = x_.At(mark);
      absl::StrAppendFormat(
          svg,
          "<line class=\"tick\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"/>"
          "<text class=\"mark\" transform=\"translate(%.1f %g)%s\" text-anchor=\"%s\">%s</text>\n",
          at, at, height_ - bottom_, height_ - bottom_ + 5, at, height_ - bottom_ + 18,
          slanted_ ? " rotate(-28)" : "", slanted_ ? "end" : "middle",
          Escape(Shortened(Format(chart_.x, mark))));
    }
    absl::StrAppendFormat(
        svg,
        "<line class=\"axis\" x1=\"%g\" x2=\"%g\" y1=\"%g\" y2=\"%g\"/>"
        "<text class=\"name\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>"
        "<text class=\"name\" transform=\"translate(14 %g) rotate(-90)\" text-anchor=\"middle\">%s"
        "</text>\n",
        kLeft, width_ - kRight, height_ - bottom_, height_ - bottom_, (kLeft + width_ - kRight) / 2,
        height_ - 8, Escape(chart_.x.title), (kTop + height_ - bottom_) / 2,
        Escape(chart_.y.title));
  }

  std::string Place(double x, double y) const {
    return absl::StrFormat("%.1f,%.1f ", x_.At(x), y_.At(y));
  }

  void DrawBand(const Series& series, std::string* svg) const {
    const bool wide = std::any_of(series.points.begin(), series.points.end(),
                                  [](const Point& point) { return point.high > point.low; });
    if (!wide || !series.joined) return;
    const std::vector<Point> points = Thinned(series.points, kMaxPoints);
    std::string places;
    for (const Point& point : points) absl::StrAppend(&places, Place(point.x, point.high));
    for (auto point = points.rbegin(); point != points.rend(); ++point) {
      absl::StrAppend(&places, Place(point->x, point->low));
    }
    absl::StrAppendFormat(svg, "<polygon class=\"band f%d\" points=\"%s\"/>\n",
                          series.color % kColors, places);
  }

  void DrawLine(const Series& series, std::string* svg) const {
    if (!series.joined || series.points.size() < 2) return;
    std::string places;
    for (const Point& point : Thinned(series.points, kMaxPoints)) {
      absl::StrAppend(&places, Place(point.x, point.y));
    }
    absl::StrAppendFormat(svg, "<polyline class=\"%s s%d\"%s data-series=\"%s\" points=\"%s\"/>\n",
                          series.faint ? "faint" : "line", series.color % kColors, Dashes(series),
                          Escape(series.name), places);
  }

  void DrawValues(const Series& series, std::string* svg) const {
    if (series.faint) return;
    const double radius = series.joined ? (series.points.size() > 30 ? 1.5 : 2.5) : 5;
    for (const Point& point : Thinned(series.points, kMaxTold)) {
      if (!series.joined && point.high > point.low) {
        absl::StrAppendFormat(svg,
                              "<line class=\"line s%d\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" "
                              "y2=\"%.1f\"/>",
                              series.color % kColors, x_.At(point.x), x_.At(point.x),
                              y_.At(point.low), y_.At(point.high));
      }
      for (const double single : point.singles) {
        absl::StrAppendFormat(svg,
                              "<circle class=\"single s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\"/>",
                              series.color % kColors, x_.At(point.x), y_.At(single));
      }
      const std::string title =
          point.title.empty()
              ? absl::StrCat(series.name, "\n", chart_.x.title, ": ", Format(chart_.x, point.x),
                             "\n", chart_.y.title, ": ", Format(chart_.y, point.y))
              : point.title;
      absl::StrAppendFormat(svg,
                            "<circle class=\"dot f%d\" data-series=\"%s\" cx=\"%.1f\" cy=\"%.1f\" "
                            "r=\"%g\"><title>%s</title></circle>\n",
                            series.color % kColors, Escape(series.name), x_.At(point.x),
                            y_.At(point.y), point.radius > 0 ? point.radius : radius,
                            Escape(title));
    }
  }

  const Chart& chart_;
  const double width_;
  const double height_;
  // Whether the words below the x axis are too long to stand side by side, and the room for them.
  const bool slanted_;
  const double bottom_;
  const Scale x_;
  const Scale y_;
};

}  // namespace

std::string RenderLegend(const std::vector<Series>& all) {
  const auto told =
      std::count_if(all.begin(), all.end(), [](const Series& series) { return !series.faint; });
  if (told < 2) return "";
  std::string html = "<ul class=\"legend\">";
  for (const Series& series : all) {
    if (series.faint) continue;
    absl::StrAppendFormat(&html,
                          "<li><svg viewBox=\"0 0 26 10\" aria-hidden=\"true\"><line class=\"line "
                          "s%d\"%s x1=\"1\" x2=\"25\" y1=\"5\" y2=\"5\"/></svg>%s</li>",
                          series.color % kColors, Dashes(series), Escape(series.name));
  }
  return html + "</ul>\n";
}

std::vector<double> Ticks(double low, double high, int about) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(high - low)) return ticks;
  const double rough = (high - low) / about;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  for (auto i = static_cast<std::int64_t>(std::ceil(low / step - 1e-9));
       static_cast<double>(i) * step <= high + step * 1e-9; ++i) {
    ticks.push_back(static_cast<double>(i) * step);
  }
  return ticks;
}

std::string RenderChart(const Chart& chart) {
  Range x;
  Range y;
  Chart drawable = chart;
  for (Series& series : drawable.series) {
    std::erase_if(series.points, [&](const Point& point) {
      return !std::isfinite(point.x) || !std::isfinite(point.y) ||
             (chart.x.logarithmic && point.x <= 0);
    });
    for (Point& point : series.points) {
      if (!std::isfinite(point.low)) point.low = point.y;
      if (!std::isfinite(point.high)) point.high = point.y;
      x.Add(point.x);
      if (point.x < chart.spans_from) continue;
      for (const double single : point.singles) y.Add(single);
      y.Add(point.low);
      y.Add(point.high);
    }
  }
  std::erase_if(drawable.series, [](const Series& series) { return series.points.empty(); });
  std::string html = absl::StrCat("<figure class=\"chart\" data-chart=\"", Escape(chart.title),
                                  "\"><figcaption>", Escape(chart.title), "</figcaption>\n");
  if (x.empty() || y.empty()) {
    return absl::StrCat(html, "<p class=\"none\">Nothing was measured.</p></figure>\n");
  }
  if (!chart.x.marks.empty()) {
    x.Add(chart.x.marks.front() - chart.x.room);
    x.Add(chart.x.marks.back() + chart.x.room);
  }
  return absl::StrCat(html, Drawing(drawable, x, y).Render(),
                      chart.legend ? RenderLegend(drawable.series) : "", "</figure>\n");
}

}  // namespace atelier::client::report
