// A bar with text after it, updated in place below the permanent output. Shows nothing without a
// terminal. Used by one thread.
#ifndef ATELIER_CLIENT_TERMINAL_PROGRESS_BAR_H_
#define ATELIER_CLIENT_TERMINAL_PROGRESS_BAR_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/terminal/terminal.h"

namespace atelier::client {

class ProgressBar {
 public:
  // Draws only if `wanted` and the terminal is one.
  ProgressBar(const Terminal& terminal, bool wanted)
      : terminal_(terminal), shown_(wanted && terminal.interactive) {}
  ~ProgressBar() { Clear(); }
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `fraction` from 0 to 1. Draws at once after Clear, else at most ten times a second.
  void Show(double fraction, absl::string_view words);

  // Removes the bar, so that the next output starts on a new line.
  void Clear();

 private:
  const Terminal& terminal_;
  const bool shown_;
  absl::Time last_draw_ = absl::InfinitePast();
  bool drawn_ = false;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_PROGRESS_BAR_H_
