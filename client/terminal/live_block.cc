#include "client/terminal/live_block.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace atelier::client {

void LiveBlock::Draw(std::vector<std::string> lines) {
  // One line stays free for the cursor, and one for what the terminal echoes.
  const auto room = static_cast<std::size_t>(std::max(terminal_.height() - 2, 1));
  if (lines.size() > room) {
    const std::size_t hidden = lines.size() - room + 1;
    lines.resize(room - 1);
    lines.push_back(terminal_.style.Paint(Ink::kDim, absl::StrCat("… ", hidden, " more lines")));
  }
  // Drawn over the old lines and only then cut off, so that nothing flickers.
  std::string text = "\r";
  if (drawn_ > 0) absl::StrAppend(&text, "\x1b[", drawn_, "A");
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\x1b[K\n");
  absl::StrAppend(&text, "\x1b[J");
  terminal_.out << text << std::flush;
  drawn_ = lines.size();
}

void LiveBlock::Clear() {
  if (drawn_ == 0) return;
  terminal_.out << "\r\x1b[" << drawn_ << "A\x1b[J" << std::flush;
  drawn_ = 0;
}

}  // namespace atelier::client
