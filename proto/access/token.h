// Bearer tokens: `atelier_`, eight hexadecimal digits by which the token is found, `_`, and 256
// random bits. The server keeps the SHA-256 of a token alone; with that many random bits nothing
// slower is needed. Thread-safe: free functions.
#ifndef ATELIER_PROTO_ACCESS_TOKEN_H_
#define ATELIER_PROTO_ACCESS_TOKEN_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace atelier::access {

inline constexpr std::size_t kTokenIdDigits = 8;
inline constexpr std::size_t kTokenHashDigits = 64;

struct NewToken {
  std::string text;    // What the caller shows.
  std::string id;      // Says which token it is and gives nothing away.
  std::string sha256;  // As TokenHash.
};

// A new token from the system's random numbers.
NewToken MakeToken();

// The id of a text that has a token's form; nothing for any other text.
std::optional<std::string> TokenId(absl::string_view text);

// SHA-256 of a token, 64 lower-case hexadecimal digits.
std::string TokenHash(absl::string_view text);

// Whether two hashes are equal, in a time that does not depend on where they differ.
bool SameHash(absl::string_view a, absl::string_view b);

}  // namespace atelier::access

#endif  // ATELIER_PROTO_ACCESS_TOKEN_H_
