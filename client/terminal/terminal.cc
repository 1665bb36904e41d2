#include "client/terminal/terminal.h"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <clocale>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
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

bool ShowsUtf8() {
  // The charset alone: numbers are written alike everywhere.
  if (std::setlocale(LC_CTYPE, "") != nullptr) {
    return absl::string_view(nl_langinfo(CODESET)) == "UTF-8";
  }
  // A locale that is not installed here, as it comes with ssh: its name tells the charset.
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string locale = absl::AsciiStrToLower(Variable(name));
    if (!locale.empty())
      return absl::StrContains(locale, "utf-8") || absl::StrContains(locale, "utf8");
  }
  return false;
}

}  // namespace

Terminal StandardTerminal() {
  const char* const type = std::getenv("TERM");
  const char* const no_color = std::getenv("NO_COLOR");
  const bool capable = type != nullptr && absl::string_view(type) != "dumb";
  const bool utf8 = ShowsUtf8();
  if (isatty(STDOUT_FILENO) != 0 && capable) {
    const bool color = no_color == nullptr || *no_color == '\0';
    return Terminal{.out = std::cout,
                    .err = std::cerr,
                    .utf8 = utf8,
                    .interactive = true,
                    .style = Style(color),
                    .width = TerminalWidth,
                    .height = TerminalHeight,
                    .pictures = PictureProtocolOf(Variable)};
  }
  return Terminal{.out = std::cout, .err = std::cerr, .utf8 = utf8};
}

}  // namespace atelier::client
