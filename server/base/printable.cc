#include "server/base/printable.h"

#include <cstddef>

#include "absl/strings/ascii.h"

namespace atelier {

std::string Printable(absl::string_view text) {
  constexpr std::size_t kMaxShown = 300;
  std::string shown(text.substr(0, kMaxShown));
  for (char& c : shown) {
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = '?';
  }
  return shown;
}

}  // namespace atelier
