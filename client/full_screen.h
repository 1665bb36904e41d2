// The whole terminal for a view that is redrawn: the alternate screen, without a cursor, keys read
// as they are pressed. Whatever way it ends, the terminal is left as it was found. Used by one
// thread; at most one exists at a time.
#ifndef ATELIER_CLIENT_FULL_SCREEN_H_
#define ATELIER_CLIENT_FULL_SCREEN_H_

#include <termios.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/terminal.h"

namespace atelier::client {

class FullScreen {
 public:
  // `terminal` must be interactive and outlive it.
  explicit FullScreen(const Terminal& terminal);
  ~FullScreen();
  FullScreen(const FullScreen&) = delete;
  FullScreen& operator=(const FullScreen&) = delete;

  // Shows these lines and nothing else; what is too wide is cut off.
  void Draw(const std::vector<std::string>& lines);

  enum class Input { kNone, kKey, kResized, kEnded };
  // Waits for a key, a new size of the window, or a signal that asks to end, at most so long.
  Input Wait(absl::Duration timeout, char* key);

 private:
  const Terminal& terminal_;
  std::optional<termios> previous_mode_;  // Of standard input, if that is a terminal.
  struct sigaction previous_resize_ {};
  struct sigaction previous_terminate_ {};
  struct sigaction previous_hang_up_ {};
  struct sigaction previous_interrupt_ {};
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FULL_SCREEN_H_
