#include "client/comparing/confusion_text.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"
#include "client/terminal/output.h"
#include "client/terminal/table.h"

namespace atelier::client {
namespace {

constexpr std::size_t kWorst = 5;
// Where the matrix itself is not shown.
constexpr std::size_t kWorstOfMany = 20;
constexpr int kGap = 2;
// A title cut shorter than this says nothing; the columns are numbered then.
constexpr int kShortestTitle = 5;
// From this share of a class on, a confusion stands out.
constexpr double kConspicuous = 0.05;

std::int64_t Support(const v1::ConfusionRow& row) {
  return std::accumulate(row.counts().begin(), row.counts().end(), std::int64_t{0});
}

std::int64_t CountAt(const v1::ConfusionMatrix& matrix, int row, int column) {
  if (row >= matrix.rows_size() || column >= matrix.rows(row).counts_size()) return 0;
  return matrix.rows(row).counts(column);
}

int WidestName(const v1::ConfusionMatrix& matrix) {
  int widest = 0;
  for (const auto& name : matrix.class_names()) widest = std::max(widest, DisplayWidth(name));
  return widest;
}

int WidestCount(const v1::ConfusionMatrix& matrix) {
  std::int64_t largest = 0;
  for (const auto& row : matrix.rows()) {
    for (const std::int64_t count : row.counts()) largest = std::max(largest, count);
  }
  return DisplayWidth(Count(largest));
}

// How the columns are titled: class names, cut names, or the numbers of the classes.
struct Titles {
  bool numbered = false;
  int width = 0;
};

Titles ChooseTitles(const v1::ConfusionMatrix& matrix, int width) {
  const int classes = std::max(1, matrix.class_names_size());
  const int widest = WidestName(matrix);
  const int room = (width - widest) / classes - kGap;
  if (room >= kShortestTitle) return {false, std::min(room, widest)};
  return {true, DisplayWidth(absl::StrCat(classes - 1))};
}

Table::Cell MatrixCell(const v1::ConfusionMatrix& matrix, int row, int column) {
  const std::int64_t count = CountAt(matrix, row, column);
  if (row == column) return {Count(count), Ink::kBoldGreen};
  if (count == 0) return {"·", Ink::kDim};
  const double share = static_cast<double>(count) /
                       static_cast<double>(std::max<std::int64_t>(1, Support(matrix.rows(row))));
  return {Count(count), share >= kConspicuous ? Ink::kRed : Ink::kPlain};
}

// Those that have figures.
std::vector<int> ClassesOf(const v1::ConfusionMatrix& matrix, bool all) {
  return ShownClasses(std::min(matrix.class_names_size(), matrix.class_metrics_size()), all,
                      [&](int i) { return matrix.class_metrics(i).f1(); });
}

bool HasMany(const v1::ConfusionMatrix& matrix) {
  return matrix.class_names_size() > kMaxShownClasses;
}

std::string MatrixText(const v1::ConfusionMatrix& matrix, const Style& style, int width) {
  if (HasMany(matrix)) {
    return absl::StrCat("The matrix of ", Count(matrix.class_names_size()),
                        " classes is too large to read; --output=csv prints it.\n");
  }
  const Titles titles = ChooseTitles(matrix, width);
  const int classes = matrix.class_names_size();
  const int cell_width = std::max(titles.width, WidestCount(matrix));
  const int number_width = DisplayWidth(absl::StrCat(std::max(0, classes - 1)));
  std::vector<Table::Column> columns = {{""}};
  const auto numbered_name = [&](int i) {
    return absl::StrCat(PadLeft(absl::StrCat(i), number_width), " ", matrix.class_names(i));
  };
  int total = titles.numbered ? number_width + 1 + WidestName(matrix) : WidestName(matrix);
  for (int i = 0; i < classes; ++i) {
    const std::string title =
        titles.numbered ? absl::StrCat(i) : Clip(matrix.class_names(i), titles.width);
    columns.push_back({PadLeft(title, cell_width), Table::Align::kRight});
    total += kGap + cell_width;
  }
  if (total > width) {
    return absl::StrCat("The matrix needs ", total, " columns and the terminal has ", width,
                        "; --output=csv prints the whole matrix.\n");
  }
  Table table(std::move(columns));
  for (int row = 0; row < classes; ++row) {
    std::vector<Table::Cell> cells = {titles.numbered ? numbered_name(row)
                                                      : matrix.class_names(row)};
    for (int column = 0; column < classes; ++column) {
      cells.push_back(MatrixCell(matrix, row, column));
    }
    table.AddRow(std::move(cells));
  }
  return absl::StrCat(
      style.Paint(Ink::kDim, "One row per true class, one column per predicted class:"), "\n",
      table.Render(style, width));
}

void AddShare(const v1::ClassMetrics& metrics, double share, v1::ClassMetrics* mean) {
  mean->set_precision(mean->precision() + share * metrics.precision());
  mean->set_recall(mean->recall() + share * metrics.recall());
  mean->set_f1(mean->f1() + share * metrics.f1());
}

// The means are over all classes, whichever are shown.
std::string ClassText(const v1::ConfusionMatrix& matrix, const std::vector<int>& shown,
                      const Style& style, int width) {
  using Align = Table::Align;
  Table table({{"class"},
               {"precision", Align::kRight},
               {"recall", Align::kRight},
               {"F1", Align::kRight},
               {"support", Align::kRight}});
  const int classes = std::min(matrix.class_names_size(), matrix.class_metrics_size());
  std::int64_t images = 0;
  for (int i = 0; i < classes; ++i) images += matrix.class_metrics(i).support();
  v1::ClassMetrics macro;
  v1::ClassMetrics weighted;
  for (int i = 0; i < classes; ++i) {
    const v1::ClassMetrics& metrics = matrix.class_metrics(i);
    AddShare(metrics, 1.0 / classes, &macro);
    AddShare(metrics,
             images == 0 ? 0 : static_cast<double>(metrics.support()) / static_cast<double>(images),
             &weighted);
  }
  for (const int i : shown) {
    const v1::ClassMetrics& metrics = matrix.class_metrics(i);
    table.AddRow({matrix.class_names(i), Percent(metrics.precision(), 1),
                  Percent(metrics.recall(), 1), Percent(metrics.f1(), 1),
                  Count(metrics.support())});
  }
  for (const auto& [name, mean] :
       {std::pair("macro mean", macro), std::pair("weighted mean", weighted)}) {
    table.AddRow({{name, Ink::kBold},
                  {Percent(mean.precision(), 1), Ink::kBold},
                  {Percent(mean.recall(), 1), Ink::kBold},
                  {Percent(mean.f1(), 1), Ink::kBold},
                  {Count(images), Ink::kBold}});
  }
  std::string text = table.Render(style, width);
  if (static_cast<int>(shown.size()) < classes) {
    absl::StrAppend(
        &text,
        style.Paint(Ink::kDim, absl::StrCat("The ", shown.size(), " classes of the lowest F1; ",
                                            Count(classes - static_cast<int>(shown.size())),
                                            " are left out, --classes shows all.")),
        "\n");
  }
  return text;
}

std::string WorstText(const v1::ConfusionMatrix& matrix, const Style& style, int width) {
  Table table({{""}, {"", Table::Align::kRight}, {"", Table::Align::kRight}});
  const std::vector<Confusion> all = WorstConfusions(matrix);
  const std::size_t shown = std::min(all.size(), HasMany(matrix) ? kWorstOfMany : kWorst);
  for (std::size_t i = 0; i < shown; ++i) {
    const Confusion& worst = all[i];
    const double share = static_cast<double>(worst.count) / static_cast<double>(worst.support);
    table.AddRow({absl::StrCat("  ", matrix.class_names(worst.true_class), " → ",
                               matrix.class_names(worst.predicted_class)),
                  absl::StrCat(Count(worst.count), " of ", Count(worst.support)),
                  absl::StrCat("(", Percent(share, 1), ")")});
  }
  if (table.empty()) return "No image was confused.\n";
  std::string text = absl::StrCat(style.Paint(Ink::kBold, "Most often confused"), "\n",
                                  table.Render(style, width));
  if (HasMany(matrix) && all.size() > shown) {
    absl::StrAppend(
        &text,
        style.Paint(Ink::kDim,
                    absl::StrCat(
                        "  and ",
                        Count(static_cast<std::int64_t>(all.size() - shown), "further pair"), ".")),
        "\n");
  }
  return text;
}

}  // namespace

std::vector<Confusion> WorstConfusions(const v1::ConfusionMatrix& matrix) {
  std::vector<Confusion> confusions;
  const int classes = std::min(matrix.class_names_size(), matrix.rows_size());
  for (int row = 0; row < classes; ++row) {
    const std::int64_t support = Support(matrix.rows(row));
    for (int column = 0; column < matrix.class_names_size(); ++column) {
      const std::int64_t count = CountAt(matrix, row, column);
      if (row == column || count == 0) continue;
      confusions.push_back({row, column, count, support});
    }
  }
  std::stable_sort(confusions.begin(), confusions.end(),
                   [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  return confusions;
}

std::vector<int> ShownClasses(const v1::ConfusionMatrix& matrix) {
  return ClassesOf(matrix, /*all=*/false);
}

std::string ConfusionText(const v1::ConfusionMatrix& matrix, const Style& style, int width) {
  return absl::StrCat(Percent(matrix.accuracy()), " of the images are classified correctly.\n\n",
                      MatrixText(matrix, style, width), "\n",
                      ClassText(matrix, ShownClasses(matrix), style, width), "\n",
                      WorstText(matrix, style, width));
}

std::string ConfusionCsv(const v1::ConfusionMatrix& matrix) {
  std::vector<std::string> titles = {"true_class"};
  titles.insert(titles.end(), matrix.class_names().begin(), matrix.class_names().end());
  std::string csv = CsvLine(titles);
  for (int row = 0; row < std::min(matrix.class_names_size(), matrix.rows_size()); ++row) {
    std::vector<std::string> values = {matrix.class_names(row)};
    for (const std::int64_t count : matrix.rows(row).counts()) {
      values.push_back(absl::StrCat(count));
    }
    absl::StrAppend(&csv, CsvLine(values));
  }
  return csv;
}

std::string AllClassesText(const v1::ConfusionMatrix& matrix, const Style& style, int width) {
  return ClassText(matrix, ClassesOf(matrix, /*all=*/true), style, width);
}

std::string AllClassesCsv(const v1::ConfusionMatrix& matrix) {
  std::string csv = CsvLine({"class", "precision", "recall", "f1", "support"});
  for (const int i : ClassesOf(matrix, /*all=*/true)) {
    const v1::ClassMetrics& metrics = matrix.class_metrics(i);
    absl::StrAppend(&csv, CsvLine({matrix.class_names(i), absl::StrCat(metrics.precision()),
                                   absl::StrCat(metrics.recall()), absl::StrCat(metrics.f1()),
                                   absl::StrCat(metrics.support())}));
  }
  return csv;
}

}  // namespace atelier::client
