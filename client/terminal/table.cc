#include "client/terminal/table.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/terminal/display_text.h"

namespace atelier::client {
namespace {

constexpr int kGap = 2;

std::string Aligned(absl::string_view text, Table::Align align, int width) {
  return align == Table::Align::kRight ? PadLeft(text, width) : PadRight(text, width);
}

}  // namespace

void Table::AddRow(std::vector<Cell> cells) {
  cells.resize(columns_.size(), Cell(""));
  rows_.push_back(std::move(cells));
}

std::vector<int> Table::ColumnWidths() const {
  std::vector<int> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    int width = DisplayWidth(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i].text));
    widths.push_back(width);
  }
  return widths;
}

std::vector<std::size_t> Table::Choose(const std::vector<int>& widths, int max_width) const {
  std::vector<std::size_t> chosen(columns_.size());
  std::iota(chosen.begin(), chosen.end(), std::size_t{0});
  const auto total = [&] {
    int sum = 0;
    for (const std::size_t i : chosen) sum += widths[i] + kGap;
    return sum - kGap;
  };
  while (total() > max_width) {
    const auto last = std::find_if(chosen.rbegin(), chosen.rend(),
                                   [&](std::size_t i) { return columns_[i].optional; });
    if (last == chosen.rend()) break;
    chosen.erase(std::next(last).base());
  }
  return chosen;
}

std::string Table::Render(const Style& style, int max_width) const {
  const std::vector<int> widths = ColumnWidths();
  const std::vector<std::size_t> chosen = Choose(widths, max_width);
  std::string text;
  const auto add_line = [&](const auto& cell_of) {
    std::string line;
    std::string spaces;
    for (const std::size_t i : chosen) {
      const Cell cell = cell_of(i);
      const std::string padded = Aligned(cell.text, columns_[i].align, widths[i]);
      // Spaces stay outside the colours, and none end a line.
      const absl::string_view words = absl::StripTrailingAsciiWhitespace(padded);
      const std::size_t indent = words.size() - absl::StripLeadingAsciiWhitespace(words).size();
      if (!words.empty()) {
        absl::StrAppend(&line, spaces, words.substr(0, indent),
                        style.Paint(cell.ink, words.substr(indent)));
        spaces.clear();
      }
      spaces.append(padded.size() - words.size() + kGap, ' ');
    }
    absl::StrAppend(&text, line, "\n");
  };
  const bool titled = std::any_of(columns_.begin(), columns_.end(),
                                  [](const Column& column) { return !column.title.empty(); });
  if (titled) add_line([&](std::size_t i) { return Cell(columns_[i].title, Ink::kDim); });
  for (const auto& row : rows_) add_line([&](std::size_t i) { return row[i]; });
  return text;
}

}  // namespace atelier::client
