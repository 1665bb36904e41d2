// Colours, if they are wanted. Immutable, so thread-safe.
#ifndef ATELIER_CLIENT_TERMINAL_STYLE_H_
#define ATELIER_CLIENT_TERMINAL_STYLE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace atelier::client {

enum class Ink { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan, kBoldGreen, kBoldRed };

class Style {
 public:
  // With `color` false Paint changes nothing.
  explicit Style(bool color) : color_(color) {}

  bool color() const { return color_; }
  std::string Paint(Ink ink, absl::string_view text) const;

 private:
  const bool color_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_TERMINAL_STYLE_H_
