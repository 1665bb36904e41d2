// Text as a terminal shows it: how many columns it takes, cut or padded to a width, and without
// control characters. Input is UTF-8; invalid bytes are tolerated.
// Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_TERMINAL_DISPLAY_TEXT_H_
#define ATELIER_CLIENT_TERMINAL_DISPLAY_TEXT_H_

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"

namespace atelier::client {

// Columns the text takes: 2 for wide East Asian characters, 0 for combining marks.
int DisplayWidth(absl::string_view text);

// The text in at most `width` columns; what was cut off is replaced by '…'.
std::string Clip(absl::string_view text, int width);

// The text with spaces after or before it, `width` columns in all or more.
std::string PadRight(absl::string_view text, int width);
std::string PadLeft(absl::string_view text, int width);

// The text in ASCII, as wide as it was: dashes, bars, ticks and arrows as look-alikes, everything
// else as question marks. " ± " becomes "+/-".
std::string ToAscii(absl::string_view text);

// The length of the text without an incomplete character at its end, for text that arrives in
// pieces.
std::size_t WholeCharacters(absl::string_view text);

// The text broken between words into lines of at most `width` columns where that is possible; lines
// after the first begin with `indent` spaces.
std::string Wrap(absl::string_view text, int width, int indent);

// Up to this many classes all are shown, beyond it so many.
inline constexpr int kMaxShownClasses = 30;

// The classes to show of so many: all in their order, or where they are too many and not `all` is
// asked for, those of the least value_of(class), the least first.
template <typename ValueOf>
std::vector<int> ShownClasses(int classes, bool all, const ValueOf& value_of) {
  std::vector<int> shown(static_cast<std::size_t>(classes));
  std::iota(shown.begin(), shown.end(), 0);
  if (all || classes <= kMaxShownClasses) return shown;
  std::stable_sort(shown.begin(), shown.end(),
                   [&](int a, int b) { return value_of(a) < value_of(b); });
  shown.resize(kMaxShownClasses);
  return shown;
}

// The names with commas between them; of more than kMaxShownClasses the first and how many more
// there are.
std::string NameList(const google::protobuf::RepeatedPtrField<std::string>& names);

// The text with everything that a terminal would obey (control characters, escape sequences,
// changes of writing direction) and invalid UTF-8 written out as \xNN or \u{N}. `multiline` leaves
// newlines and tabs alone.
std::string EscapeControls(absl::string_view text, bool multiline = false);

// Does that to every string field of a message, nested ones included.
void EscapeControls(google::protobuf::Message* message);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_DISPLAY_TEXT_H_
