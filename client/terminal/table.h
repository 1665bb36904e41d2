// A table with aligned columns. Used by one thread.
#ifndef ATELIER_CLIENT_TERMINAL_TABLE_H_
#define ATELIER_CLIENT_TERMINAL_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "client/terminal/style.h"

namespace atelier::client {

class Table {
 public:
  enum class Align { kLeft, kRight };

  struct Column {
    std::string title;
    Align align = Align::kLeft;
    // Left out where the table would be too wide, the last such column first.
    bool optional = false;
  };

  struct Cell {
    // NOLINTBEGIN(google-explicit-constructor): a row is written as a list of texts.
    Cell(std::string words, Ink color = Ink::kPlain) : text(std::move(words)), ink(color) {}
    Cell(const char* words, Ink color = Ink::kPlain) : text(words), ink(color) {}
    // NOLINTEND(google-explicit-constructor)

    std::string text;
    Ink ink;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns.
  void AddRow(std::vector<Cell> cells);

  bool empty() const { return rows_.empty(); }

  // Title and rows, each line ended by a newline. Without titles if all are empty.
  std::string Render(const Style& style, int max_width) const;

 private:
  std::vector<int> ColumnWidths() const;
  // Indices of the columns that are shown.
  std::vector<std::size_t> Choose(const std::vector<int>& widths, int max_width) const;

  const std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_TABLE_H_
