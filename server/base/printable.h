// Words of another program, as they may be shown and logged.
#ifndef ATELIER_SERVER_BASE_PRINTABLE_H_
#define ATELIER_SERVER_BASE_PRINTABLE_H_

#include <string>

#include "absl/strings/string_view.h"

namespace atelier {

// At most 300 bytes of them; what is not printable ASCII as '?'. Thread-safe: a pure function.
std::string Printable(absl::string_view text);

}  // namespace atelier

#endif  // ATELIER_SERVER_BASE_PRINTABLE_H_
