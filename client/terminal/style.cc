#include "client/terminal/style.h"

#include "absl/strings/str_cat.h"

namespace atelier::client {
namespace {

absl::string_view CodeOf(Ink ink) {
  switch (ink) {
    case Ink::kPlain:
      return "";
    case Ink::kBold:
      return "1";
    case Ink::kDim:
      return "2";
    case Ink::kRed:
      return "31";
    case Ink::kGreen:
      return "32";
    case Ink::kYellow:
      return "33";
    case Ink::kCyan:
      return "36";
    case Ink::kBoldGreen:
      return "1;32";
    case Ink::kBoldRed:
      return "1;31";
  }
  return "";
}

}  // namespace

std::string Style::Paint(Ink ink, absl::string_view text) const {
  if (!color_ || ink == Ink::kPlain || text.empty()) return std::string(text);
  return absl::StrCat("\x1b[", CodeOf(ink), "m", text, "\x1b[0m");
}

}  // namespace atelier::client
