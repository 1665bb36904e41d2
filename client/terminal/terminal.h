// Where the client writes to, and what can be shown there. Passed in, so that tests can read it.
// Used by one thread.
#ifndef ATELIER_CLIENT_TERMINAL_TERMINAL_H_
#define ATELIER_CLIENT_TERMINAL_TERMINAL_H_

#include <functional>
#include <ostream>

#include "client/terminal/inline_picture.h"
#include "client/terminal/style.h"

namespace atelier::client {

struct Terminal {
  std::ostream& out;
  // Errors and notices.
  std::ostream& err;
  // For bytes that are not text of the client: standard output, whatever the charset.
  std::ostream& bytes = out;
  // Whether people see UTF-8; if not, text is written in ASCII.
  bool utf8 = true;
  // Whether `out` is a terminal that understands escape sequences: lines may be updated in place.
  bool interactive = false;
  Style style{false};
  // Columns of the terminal now; without a terminal more than any line needs.
  std::function<int()> width = [] { return 1000; };
  // Its lines.
  std::function<int()> height = [] { return 1000; };
  // Whether it can show pictures.
  PictureProtocol pictures = PictureProtocol::kNone;
};

// Standard output and standard error of this process, in the charset that the locale names. Colours
// are left out if NO_COLOR is set.
Terminal StandardTerminal();

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_TERMINAL_H_
