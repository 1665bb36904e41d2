#include "client/report/confusion_map.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/comparing/confusion_text.h"
#include "client/report/html.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client::report {
namespace {

// Rows are true classes, columns what they were taken for; the darker, the larger the share of the
// row. The square root lets small confusions be seen beside a large diagonal.
std::string HeatMap(const v1::ConfusionMatrix& matrix) {
  constexpr double kCell = 42, kLabels = 104, kHead = 92, kEdge = 34;
  const int classes = matrix.rows_size();
  const double width = kLabels + kCell * classes + kEdge;
  const double height = kHead + kCell * classes;
  std::string svg = absl::StrFormat(
      "<figure class=\"chart heatmap\" data-chart=\"Confusion matrix\"><figcaption>Confusion "
      "matrix</figcaption>\n<svg class=\"heat\" viewBox=\"0 0 %g %g\" role=\"img\" "
      "aria-label=\"Confusion matrix\">\n"
      "<text class=\"name\" x=\"0\" y=\"12\">true ↓  predicted →</text>\n",
      width, height);
  for (int row = 0; row < classes; ++row) {
    std::int64_t support = 0;
    for (const std::int64_t count : matrix.rows(row).counts()) support += count;
    const double middle = kCell * (row + 0.5);
    absl::StrAppendFormat(&svg,
                          "<text x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>"
                          "<text transform=\"translate(%g %g) rotate(-45)\">%s</text>\n",
                          kLabels - 8, kHead + middle + 4, Escape(ClassName(matrix, row)),
                          kLabels + middle, kHead - 8, Escape(ClassName(matrix, row)));
    for (int column = 0; column < matrix.rows(row).counts_size(); ++column) {
      const std::int64_t count = matrix.rows(row).counts(column);
      const double share =
          support == 0 ? 0 : static_cast<double>(count) / static_cast<double>(support);
      const double shade = std::sqrt(share);
      absl::StrAppendFormat(
          &svg,
          "<rect data-series=\"cells\" x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" "
          "style=\"fill:rgba(var(--heat),%.3f)\"><title>%s taken for %s: %s of %s (%s)</title>"
          "</rect><text class=\"%s\" x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>\n",
          kLabels + kCell * column, kHead + kCell * row, kCell, kCell, std::max(shade, 0.03),
          Escape(ClassName(matrix, row)), Escape(ClassName(matrix, column)), Count(count),
          Count(support), Percent(share, 1), shade > 0.55 ? "on" : "off",
          kLabels + kCell * (column + 0.5), kHead + middle + 4,
          count == 0 ? "" : absl::StrCat(count));
    }
  }
  return absl::StrCat(svg, "</svg></figure>\n");
}

// A picture of up to this many blocks a side, each of one cell or of several.
constexpr int kMaxBlocks = 200;
// Shades that are told apart.
constexpr int kShades = 6;

// The shade of each block, row by row, from 0 (nothing) on: by the largest share among its cells.
std::vector<int> ShadesOf(const v1::ConfusionMatrix& matrix, int block, int blocks) {
  std::vector<double> shares(static_cast<std::size_t>(blocks) * static_cast<std::size_t>(blocks));
  for (int row = 0; row < matrix.rows_size(); ++row) {
    const auto& counts = matrix.rows(row).counts();
    std::int64_t support = 0;
    for (const std::int64_t count : counts) support += count;
    for (int column = 0; column < std::min(counts.size(), matrix.rows_size()); ++column) {
      if (counts[column] == 0) continue;
      double& share = shares[static_cast<std::size_t>(row / block * blocks + column / block)];
      share = std::max(share, static_cast<double>(counts[column]) / static_cast<double>(support));
    }
  }
  std::vector<int> shades;
  for (const double share : shares) {
    shades.push_back(static_cast<int>(std::ceil(std::sqrt(share) * kShades)));
  }
  return shades;
}

// A path for each shade, made of lines as wide as a block.
std::string BlockPaths(const std::vector<int>& shades, int blocks) {
  std::vector<std::string> paths(kShades + 1);
  for (int row = 0; row < blocks; ++row) {
    for (int first = 0, end = 0; first < blocks; first = end) {
      const auto shade = [&](int column) {
        return shades[static_cast<std::size_t>(row * blocks + column)];
      };
      while (end < blocks && shade(end) == shade(first)) ++end;
      absl::StrAppend(&paths[static_cast<std::size_t>(shade(first))], "M", first, " ", row, ".5h",
                      end - first);
    }
  }
  std::string svg;
  for (int shade = 1; shade <= kShades; ++shade) {
    absl::StrAppendFormat(
        &svg, "<path data-series=\"blocks\" style=\"stroke:rgba(var(--heat),%.2f)\" d=\"%s\"/>\n",
        static_cast<double>(shade) / kShades, paths[static_cast<std::size_t>(shade)]);
  }
  return svg;
}

std::string BlockMap(const v1::ConfusionMatrix& matrix) {
  const int classes = matrix.rows_size();
  const int block = (classes + kMaxBlocks - 1) / kMaxBlocks;
  const int blocks = (classes + block - 1) / block;
  const std::string size = block == 1
                               ? "A dot is a pair of classes"
                               : absl::StrCat("A dot is ", block, "×", block,
                                              " pairs of classes, of which the largest counts");
  return absl::StrCat(
      "<figure class=\"chart heatmap\" data-chart=\"Confusion matrix\"><figcaption>Confusion "
      "matrix of ",
      Count(classes), " classes</figcaption>\n<svg class=\"blocks\" viewBox=\"0 0 ", blocks, " ",
      blocks, "\" role=\"img\" aria-label=\"Confusion matrix\">\n",
      BlockPaths(ShadesOf(matrix, block, blocks), blocks), "</svg><p class=\"note\">", size,
      ", true classes from top to bottom, predicted classes from left to right; the darker, the "
      "larger the share of the true class's images.</p></figure>\n");
}

}  // namespace

std::string ClassName(const v1::ConfusionMatrix& matrix, int index) {
  if (index < 0 || index >= matrix.class_names_size()) return absl::StrCat("class ", index);
  return matrix.class_names(index);
}

std::string ConfusionMap(const v1::ConfusionMatrix& matrix) {
  return matrix.rows_size() > kMaxShownClasses ? BlockMap(matrix) : HeatMap(matrix);
}

}  // namespace atelier::client::report
