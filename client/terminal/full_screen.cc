#include "client/terminal/full_screen.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace atelier::client {
namespace {

std::atomic<bool> resized = false;
std::atomic<bool> ended = false;
static_assert(std::atomic<bool>::is_always_lock_free, "set by signal handlers");

void Handle(int number, void (*handler)(int), struct sigaction* previous) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, previous);
}

void HandleEnd(int) { ended = true; }

// Back to the shell's screen, with its cursor and its wrapping of long lines.
constexpr char kLeave[] = "\x1b[?7h\x1b[?25h\x1b[?1049l";

// What a process dies of without asking: bugs, and exceptions that nobody caught, which abort.
constexpr std::array kDeaths = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGQUIT, SIGSEGV, SIGSYS, SIGTRAP};
static_assert(kDeaths.size() == FullScreen::kDeathCount);

// Standard input's mode as it was, for the handler; set before the handler is installed.
termios mode_before;
bool has_mode_before = false;

// Leaves the terminal as it was found, then dies of the same signal after all. Only what a signal
// handler may call.
void HandleDeath(int number) {
  [[maybe_unused]] const auto written = write(STDOUT_FILENO, kLeave, sizeof(kLeave) - 1);
  if (has_mode_before) tcsetattr(STDIN_FILENO, TCSANOW, &mode_before);
  signal(number, SIG_DFL);
  raise(number);
}

}  // namespace

FullScreen::FullScreen(const Terminal& terminal) : terminal_(terminal) {
  resized = false;
  ended = false;
  Handle(
      SIGWINCH, [](int) { resized = true; }, &previous_resize_);
  Handle(SIGTERM, HandleEnd, &previous_terminate_);
  Handle(SIGHUP, HandleEnd, &previous_hang_up_);
  Handle(SIGINT, HandleEnd, &previous_interrupt_);
  termios mode;
  if (tcgetattr(STDIN_FILENO, &mode) == 0) {
    previous_mode_ = mode;
    mode_before = mode;
    mode.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    // Being suspended would leave the shell on the alternate screen.
    mode.c_cc[VSUSP] = _POSIX_VDISABLE;
    tcsetattr(STDIN_FILENO, TCSANOW, &mode);
  }
  has_mode_before = previous_mode_.has_value();
  for (std::size_t i = 0; i < kDeaths.size(); ++i) {
    Handle(kDeaths[i], HandleDeath, &previous_deaths_[i]);
  }
  // The alternate screen, no cursor, no wrapping at the right edge.
  terminal_.out << "\x1b[?1049h\x1b[?25l\x1b[?7l" << std::flush;
}

FullScreen::~FullScreen() {
  terminal_.out << kLeave << std::flush;
  if (previous_mode_.has_value()) tcsetattr(STDIN_FILENO, TCSAFLUSH, &*previous_mode_);
  for (std::size_t i = 0; i < kDeaths.size(); ++i) {
    sigaction(kDeaths[i], &previous_deaths_[i], nullptr);
  }
  sigaction(SIGWINCH, &previous_resize_, nullptr);
  sigaction(SIGTERM, &previous_terminate_, nullptr);
  sigaction(SIGHUP, &previous_hang_up_, nullptr);
  sigaction(SIGINT, &previous_interrupt_, nullptr);
}

void FullScreen::Draw(const std::vector<std::string>& lines) {
  // Written over what stands there and only then cut off, so that nothing flickers.
  std::string text = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    absl::StrAppend(&text, i > 0 ? "\r\n" : "", lines[i], "\x1b[0m\x1b[K");
  }
  terminal_.out << text << "\x1b[J" << std::flush;
}

FullScreen::Input FullScreen::Wait(absl::Duration timeout, char* key) {
  if (ended) return Input::kEnded;
  if (resized.exchange(false)) return Input::kResized;
  pollfd keys = {
      .fd = previous_mode_.has_value() ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  const int ready = poll(&keys, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout)));
  if (ended) return Input::kEnded;
  if (resized.exchange(false)) return Input::kResized;
  if (ready <= 0) return Input::kNone;
  // The terminal is closed.
  if (read(STDIN_FILENO, key, 1) != 1) return Input::kEnded;
  return Input::kKey;
}

}  // namespace atelier::client
