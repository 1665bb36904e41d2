#include "client/terminal/progress_bar.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/terminal/display_text.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

// A little less than a tenth of a second: who reports every tenth is not to miss every other turn.
constexpr absl::Duration kDrawInterval = absl::Milliseconds(90);
constexpr int kMostWidth = 30;
constexpr int kLeastWidth = 5;
constexpr int kPercentWidth = 7;
// Room for the ^C that a terminal shows: it must not push the line into the next one.
constexpr int kEcho = 3;

}  // namespace

void ProgressBar::Show(double fraction, absl::string_view words) {
  const absl::Time now = absl::Now();
  if (!shown_ || now - last_draw_ < kDrawInterval) return;
  last_draw_ = now;
  const int width = terminal_.width() - kEcho;
  const int bar = std::min(kMostWidth, width - kPercentWidth - 2 - DisplayWidth(words));
  std::string line;
  if (bar >= kLeastWidth) {
    const auto filled = static_cast<int>(std::lround(std::clamp(fraction, 0.0, 1.0) * bar));
    std::string done, left;
    for (int i = 0; i < bar; ++i) (i < filled ? done : left) += i < filled ? "━" : "─";
    line = absl::StrCat(terminal_.style.Paint(Ink::kCyan, done),
                        terminal_.style.Paint(Ink::kDim, left),
                        PadLeft(Percent(fraction, 0), kPercentWidth), "  ", words);
  } else {
    line = Clip(absl::StrCat(Percent(fraction, 0), "  ", words), width);
  }
  // Written over the old line and only then cut off, so that nothing flickers.
  terminal_.out << "\r" << line << "\x1b[K" << std::flush;
  drawn_ = true;
}

void ProgressBar::Clear() {
  if (drawn_) terminal_.out << "\r\x1b[K" << std::flush;
  drawn_ = false;
  last_draw_ = absl::InfinitePast();
}

}  // namespace atelier::client
