#include "client/report/network_picture.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/report/html.h"
#include "client/report/network_layout.h"
#include "client/report/page.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

// Heights in pixels: of the blocks, of a line of text, of the way around a residual block.
constexpr double kBlocks = 96, kLine = 14, kLane = 15;
constexpr double kRowGap = 26, kSumRadius = 11, kMargin = 24;

// Its number is that of a colour in the style sheet.
int ColorOf(const Stop& stop) {
  if (stop.kind == Stop::Kind::kImage || stop.layers.front().multiply_adds() == 0) return 6;
  const std::string& name = stop.layers.front().name();
  if (absl::StartsWith(name, "conv")) return 0;
  return absl::StartsWith(name, "dense") || name == "output" ? 2 : 3;
}

// What a layer gives, as a solid: `thickness` is its channels, height and depth are the image's.
struct Solid {
  double thickness = 0;
  double height = 0;
  double depth = 0;

  double width() const { return thickness + depth; }
};

Solid SolidOf(const v1::ImageShape& shape, bool flat, const v1::ImageShape& image) {
  const double channels = std::log2(1.0 + std::max(shape.channels(), 0));
  if (flat) return {8, std::min(12 + 4.5 * channels, kBlocks - 6), 4};
  const double edge = std::max({image.height(), image.width(), 1});
  const auto share = [edge](int pixels) { return std::sqrt(std::clamp(pixels / edge, 0.0, 1.0)); };
  return {std::min(4 + 3.6 * channels, 46.0), 6 + 62 * share(shape.height()),
          3 + 18 * share(shape.width())};
}

class NetworkDrawing {
 public:
  explicit NetworkDrawing(const v1::NetworkDescription& network)
      : network_(network), layout_(LayOut(network)) {
    for (const Row& row : layout_.rows) {
      axes_.push_back(height_ + row.lanes * kLane + kBlocks / 2);
      height_ = axes_.back() + kBlocks / 2 + static_cast<double>(row.lines) * kLine + kRowGap;
    }
    height_ -= kRowGap - 6;
  }

  double width() const { return layout_.width + 2 * kMargin; }
  double height() const { return height_; }

  std::string Render() {
    for (std::size_t row = 0; row < axes_.size(); ++row) DrawWay(row);
    for (const Bypass& bypass : layout_.bypasses) DrawBypass(bypass);
    for (const Stop& stop : layout_.stops) DrawStop(stop);
    return std::move(svg_);
  }

 private:
  double AxisOf(const Stop& stop) const { return axes_[stop.row]; }

  // The line that the data goes along, from one row to the next.
  void DrawWay(std::size_t row) {
    const Stop* first = nullptr;
    const Stop* last = nullptr;
    for (const Stop& stop : layout_.stops) {
      if (stop.row != row) continue;
      if (first == nullptr) first = &stop;
      last = &stop;
    }
    const bool more = row + 1 < axes_.size();
    absl::StrAppendFormat(
        &svg_, "<line class=\"way\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
        row == 0 ? first->middle() : first->x - kMargin / 2,
        more ? last->x + last->width + kMargin / 2 : last->middle(), axes_[row], axes_[row]);
    if (more) DrawArrow(last->x + last->width + kMargin / 2, axes_[row], false);
  }

  void DrawArrow(double x, double y, bool down) {
    const char* const turn = down ? " rotate(90)" : "";
    absl::StrAppendFormat(&svg_,
                          "<path class=\"arrow\" transform=\"translate(%.1f %.1f)%s\" "
                          "d=\"M0 0l-7 -3.5v7z\"/>\n",
                          x, y, turn);
  }

  // Broken at the ends of rows, as a tie in music is.
  void DrawBypass(const Bypass& bypass) {
    constexpr double kBend = 7;
    const Stop& first = layout_.stops[bypass.first];
    const Stop& sum = layout_.stops[bypass.sum];
    const double begin = first.x - kStopGap / 2 - 3 * bypass.lane;
    for (std::size_t row = first.row; row <= sum.row; ++row) {
      const double axis = axes_[row];
      const double y = axis - kBlocks / 2 - kLane * bypass.lane - 2;
      std::string path = row == first.row ? absl::StrFormat("M%.1f %.1fV%.1fq0 %g %g %g", begin,
                                                            axis, y + kBend, -kBend, kBend, -kBend)
                                          : absl::StrFormat("M%g %.1f", -kMargin / 2, y);
      if (row == sum.row) {
        absl::StrAppendFormat(&path, "H%.1fq%g 0 %g %gV%.1f", sum.middle() - kBend, kBend, kBend,
                              kBend, axis - kSumRadius);
      } else {
        absl::StrAppendFormat(&path, "H%.1f", layout_.width + kMargin / 2);
      }
      absl::StrAppendFormat(&svg_, "<path class=\"bypass\" d=\"%s\"/>\n", path);
    }
    DrawArrow(sum.middle(), AxisOf(sum) - kSumRadius, true);
  }

  void DrawStop(const Stop& stop) {
    absl::StrAppend(&svg_, "<g data-series=\"layers\"><title>", Escape(TitleOf(stop)), "</title>");
    if (stop.kind == Stop::Kind::kSum) {
      DrawSum(stop);
    } else {
      DrawSolids(stop);
    }
    double y = AxisOf(stop) + kBlocks / 2 + kLine;
    const auto draw = [&](const std::string& text, const char* kind) {
      absl::StrAppendFormat(&svg_,
                            "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s"
                            "</text>",
                            kind, stop.middle(), y, Escape(text));
      y += kLine;
    };
    if (!stop.title.empty()) draw(stop.title, "name");
    for (const std::string& line : stop.lines) {
      draw(line, line == ShapeOf(stop) ? "shape" : "detail");
    }
    absl::StrAppend(&svg_, "</g>\n");
  }

  std::string ShapeOf(const Stop& stop) const {
    if (stop.kind == Stop::Kind::kImage) return ShapeText(network_.input(), false);
    return ShapeText(stop.layers.back().output(), stop.layers.back().flat());
  }

  void DrawSum(const Stop& stop) {
    const double x = stop.middle();
    const double y = AxisOf(stop);
    DrawArrow(x - kSumRadius, y, false);
    absl::StrAppendFormat(&svg_,
                          "<circle class=\"sum\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\"/>"
                          "<path class=\"plus\" d=\"M%.1f %.1fh10m-5 -5v10\"/>",
                          x, y, kSumRadius, x - 5, y);
  }

  // What the first layer gives and, where the layers behind it change the size, what they give.
  void DrawSolids(const Stop& stop) {
    constexpr double kBetween = 5;
    if (stop.kind == Stop::Kind::kImage) {
      const Solid solid = SolidOf(network_.input(), false, network_.input());
      return DrawSolid(solid, stop.middle() - solid.width() / 2, AxisOf(stop), ColorOf(stop));
    }
    const v1::LayerDescription& first = stop.layers.front();
    const v1::LayerDescription& last = stop.layers.back();
    const Solid given = SolidOf(first.output(), first.flat(), network_.input());
    const Solid left = SolidOf(last.output(), last.flat(), network_.input());
    const bool two =
        ShapeText(first.output(), first.flat()) != ShapeText(last.output(), last.flat());
    const double width = two ? given.width() + kBetween + left.width() : given.width();
    const double x = stop.middle() - width / 2;
    DrawArrow(x, AxisOf(stop), false);
    DrawSolid(given, x, AxisOf(stop), ColorOf(stop));
    if (two) DrawSolid(left, x + given.width() + kBetween, AxisOf(stop), 5);
  }

  // Front, top and side.
  void DrawSolid(const Solid& solid, double x, double axis, int color) {
    const double bottom = axis + (solid.height + solid.depth) / 2;
    const double top = bottom - solid.height;
    absl::StrAppendFormat(&svg_,
                          "<g class=\"solid f%d\"><path d=\"M%.1f %.1fh%.1fv%.1fh%.1fz\"/>"
                          "<path class=\"top\" d=\"M%.1f %.1fl%.1f %.1fh%.1fl%.1f %.1fz\"/>"
                          "<path class=\"side\" d=\"M%.1f %.1fl%.1f %.1fv%.1fl%.1f %.1fz\"/></g>",
                          color, x, top, solid.thickness, solid.height, -solid.thickness, x, top,
                          solid.depth, -solid.depth, solid.thickness, -solid.depth, solid.depth,
                          x + solid.thickness, top, solid.depth, -solid.depth, solid.height,
                          -solid.depth, solid.depth);
  }

  std::string TitleOf(const Stop& stop) const {
    if (stop.kind == Stop::Kind::kImage) {
      return absl::StrCat("image\n", ShapeOf(stop));
    }
    std::vector<std::string> lines;
    for (const v1::LayerDescription& layer : stop.layers) {
      std::string line = absl::StrCat(layer.name(), ": ", layer.description(), "; gives ",
                                      ShapeText(layer.output(), layer.flat()));
      if (layer.parameter_count() > 0) {
        absl::StrAppend(&line, "; ", Count(layer.parameter_count(), "parameter"));
      }
      if (layer.multiply_adds() > 0) {
        absl::StrAppend(&line, "; ", Count(layer.multiply_adds(), "multiply-add"));
      }
      lines.push_back(absl::StrCat(line, "; sees ", layer.receptive_height(), "×",
                                   layer.receptive_width(), " pixels"));
    }
    return absl::StrJoin(lines, "\n");
  }

  const v1::NetworkDescription& network_;
  const NetworkLayout layout_;
  // Of each row, from the top; then of all.
  std::vector<double> axes_;
  double height_ = 4;
  std::string svg_;
};

std::string NameOf(const v1::NetworkDescription& network) {
  return network.network().name().empty() ? "network" : network.network().name();
}

// For those who cannot see it.
std::string AriaLabel(const v1::NetworkDescription& network) {
  return Escape(absl::StrCat("Drawing of ", NameOf(network), ", ",
                             Count(network.layers_size(), "layer"), ". ", NetworkTotals(network)));
}

}  // namespace

std::string NetworkTotals(const v1::NetworkDescription& network) {
  std::string text = absl::StrCat(
      Count(network.parameter_count()), " parameters (", Count(network.trainable_parameter_count()),
      " trainable), ", Count(network.multiply_adds()), " multiply-adds for an image of ",
      ShapeText(network.input(), false), ", ", network.classes(), " classes.\nComputed by ",
      network.compute_path() == v1::COMPUTE_PATH_KERNELS ? "Atelier's kernels." : "LibTorch.");
  if (!network.path_reason().empty()) absl::StrAppend(&text, " ", network.path_reason());
  return text;
}

std::string NetworkFigure(const std::string& title, const v1::NetworkDescription& network) {
  NetworkDrawing drawing(network);
  return absl::StrFormat(
      "<figure class=\"chart network\" data-chart=\"Network\"><figcaption>%s</figcaption>\n"
      "<p class=\"note\">%s</p>\n<div class=\"scroll\"><svg viewBox=\"%g 0 %.0f %.0f\" "
      "style=\"max-width:%.0fpx\" role=\"img\" aria-label=\"%s\">\n%s</svg></div></figure>\n",
      Escape(title), Escape(NetworkTotals(network)), -kMargin, drawing.width(), drawing.height(),
      drawing.width(), AriaLabel(network), drawing.Render());
}

std::string NetworkSvgFile(const v1::NetworkDescription& network) {
  constexpr double kMinWidth = 640, kTitle = 34;
  NetworkDrawing drawing(network);
  const double width = std::max(drawing.width(), kMinWidth);
  std::string text;
  double y = kTitle;
  const int columns = static_cast<int>((width - 2 * kMargin) / 6.3);
  for (const absl::string_view sentence : absl::StrSplit(NetworkTotals(network), '\n')) {
    for (const absl::string_view line : absl::StrSplit(Wrap(sentence, columns, 0), '\n')) {
      y += 17;
      absl::StrAppendFormat(&text, "<text x=\"0\" y=\"%g\">%s</text>\n", y, Escape(line));
    }
  }
  const double height = y + 20 + drawing.height() + 12;
  return absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"network\" viewBox=\"%g 0 %.0f %.0f\" "
      "width=\"%.0f\" height=\"%.0f\" role=\"img\" aria-label=\"%s\">\n<title>%s</title>\n"
      "<style>\n%s%s</style>\n<rect class=\"paper\" x=\"%g\" width=\"%.0f\" height=\"%.0f\"/>\n"
      "<text class=\"head\" x=\"0\" y=\"%g\">%s</text>\n%s<g transform=\"translate(0 %g)\">\n%s"
      "</g></svg>\n",
      -kMargin, width, height, width, height, AriaLabel(network), Escape(NameOf(network)), kPalette,
      kNetworkStyle, -kMargin, width, height, kTitle, Escape(NameOf(network)), text, y + 20,
      drawing.Render());
}

}  // namespace atelier::client::report
