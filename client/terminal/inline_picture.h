// Pictures in the terminal itself, where it can show them. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_TERMINAL_INLINE_PICTURE_H_
#define ATELIER_CLIENT_TERMINAL_INLINE_PICTURE_H_

#include <functional>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::client {

// How a terminal wants to be sent a picture.
enum class PictureProtocol {
  kNone,    // Not at all.
  kKitty,   // kitty's graphics protocol; Ghostty has it too.
  kIterm2,  // iTerm2's inline images; WezTerm and mintty have them too.
};

// What the terminal can, by the environment variables that it sets; `variable` answers with the
// value of one, empty if it is not set. kNone within tmux and screen, which do not pass pictures
// on.
PictureProtocol PictureProtocolOf(const std::function<std::string(const char* name)>& variable);

// What shows a PNG file at the cursor, and ends the line; empty for kNone.
std::string InlinePicture(PictureProtocol protocol, absl::string_view png);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_INLINE_PICTURE_H_
