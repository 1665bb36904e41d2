// The whole terminal for a view that is redrawn: the alternate screen, without a cursor, keys read
// as they are pressed. However the program ends, even by a crash or an uncaught exception, the
// terminal is restored, except by SIGKILL and SIGSTOP. Used by one
// thread; at most one exists at a time.
#ifndef ATELIER_CLIENT_TERMINAL_FULL_SCREEN_H_
#define ATELIER_CLIENT_TERMINAL_FULL_SCREEN_H_

#include <termios.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/terminal/terminal.h"

namespace atelier::client {

class FullScreen {
 public:
  // Signals that end the process.
  static constexpr std::size_t kDeathCount = 8;

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
  std::array<struct sigaction, kDeathCount> previous_deaths_ = {};
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_FULL_SCREEN_H_
