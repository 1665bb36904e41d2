#include "client/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::client {
namespace {

constexpr int kUsualWidth = 80;
constexpr int kUsualHeight = 24;

int TerminalWidth() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kUsualWidth;
}

int TerminalHeight() {
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0) return size.ws_row;
  return kUsualHeight;
}

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

Terminal StandardTerminal() {
  const char* const type = std::getenv("TERM");
  const char* const no_color = std::getenv("NO_COLOR");
  const bool capable = type != nullptr && absl::string_view(type) != "dumb";
  Terminal terminal{.out = std::cout, .err = std::cerr};
  if (isatty(STDOUT_FILENO) != 0 && capable) {
    const bool color = no_color == nullptr || *no_color == '\0';
    return Terminal{.out = std::cout,
                    .err = std::cerr,
                    .interactive = true,
                    .style = Style(color),
                    .width = TerminalWidth,
                    .height = TerminalHeight,
                    .pictures = PictureProtocolOf(Variable)};
  }
  return terminal;
}

}  // namespace atelier::client
