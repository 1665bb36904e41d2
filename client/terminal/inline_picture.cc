#include "client/terminal/inline_picture.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace atelier::client {
namespace {

// Of base64, as kitty's protocol limits a piece.
constexpr std::size_t kKittyPiece = 4096;

std::string KittyPicture(const std::string& base64) {
  std::string sequence;
  for (std::size_t at = 0; at < base64.size(); at += kKittyPiece) {
    // The first piece says what it is: shown at once (T), PNG (100), nothing answered (q=2).
    absl::StrAppend(&sequence, "\x1b_G", at == 0 ? "a=T,f=100,q=2," : "",
                    at + kKittyPiece < base64.size() ? "m=1;" : "m=0;",
                    base64.substr(at, kKittyPiece), "\x1b\\");
  }
  return sequence;
}

}  // namespace

PictureProtocol PictureProtocolOf(const std::function<std::string(const char* name)>& variable) {
  const std::string type = variable("TERM");
  if (!variable("TMUX").empty() || absl::StartsWith(type, "screen") ||
      absl::StartsWith(type, "tmux")) {
    return PictureProtocol::kNone;
  }
  const std::string program = variable("TERM_PROGRAM");
  if (!variable("KITTY_WINDOW_ID").empty() || type == "xterm-kitty" || type == "xterm-ghostty" ||
      program == "ghostty") {
    return PictureProtocol::kKitty;
  }
  if (program == "iTerm.app" || program == "WezTerm" || program == "mintty" ||
      variable("LC_TERMINAL") == "iTerm2") {
    return PictureProtocol::kIterm2;
  }
  return PictureProtocol::kNone;
}

std::string InlinePicture(PictureProtocol protocol, absl::string_view png) {
  if (protocol == PictureProtocol::kNone || png.empty()) return "";
  const std::string base64 = absl::Base64Escape(png);
  if (protocol == PictureProtocol::kKitty) return KittyPicture(base64) + "\n";
  return absl::StrCat("\x1b]1337;File=inline=1;size=", png.size(), ":", base64, "\x07\n");
}

}  // namespace atelier::client
