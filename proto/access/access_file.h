// The access file: who may use a server, and how. A line for each credential, words separated by
// blanks; `#` begins a comment:
//
//   token alice operator id=3f9a1c2e sha256=9f86d0… created=2026-11-29
//   certificate bob.example.com viewer
//   limit operator jobs=20 data=50GiB
//   limit alice running=4
//
// A limit is that of a caller, or of each caller of a role that has no such limit of its own.
//
// `atelier admin token` writes the lines of tokens; all else is written by hand and kept.
#ifndef ATELIER_PROTO_ACCESS_ACCESS_FILE_H_
#define ATELIER_PROTO_ACCESS_ACCESS_FILE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/access/limits.h"
#include "proto/access/role.h"

namespace atelier::access {

// Beyond it a file is refused.
inline constexpr std::int64_t kMaxAccessFileBytes = 1 << 20;

// How a caller shows who it is. Several of one name are one caller, so they have one role.
struct Credential {
  enum class Kind { kToken, kCertificate };

  Kind kind = Kind::kToken;
  std::string name = {};  // The caller's; for a certificate its common name.
  Role role = Role::kViewer;
  std::string id = {};       // Of a token.
  std::string sha256 = {};   // Of a token.
  std::string created = {};  // Of a token: a day, such as 2026-11-29; may be empty.
};

// INVALID_ARGUMENT unless a caller may have this name: 1 to 128 letters, digits and `. _ @ + -`,
// beginning with a letter or digit, and none of the words for roles.
absl::Status CheckCallerName(absl::string_view name);

// The credentials of a file, in its order. INVALID_ARGUMENT naming the line, what is wrong with it
// and what would be right.
absl::StatusOr<std::vector<Credential>> ParseAccessFile(absl::string_view text);

// The limits of a file by whose they are, a caller's name or a role's word. Errors as above.
absl::StatusOr<std::map<std::string, Limits>> ParseLimits(absl::string_view text);

// The file with a token's line at its end.
std::string WithToken(absl::string_view text, const Credential& token);

// The file without the tokens that have this name or id; all other lines stay as they are.
// NOT_FOUND, naming those there are, if it has none. `text` must be valid.
absl::StatusOr<std::string> WithoutToken(absl::string_view text, absl::string_view name_or_id);

}  // namespace atelier::access

#endif  // ATELIER_PROTO_ACCESS_ACCESS_FILE_H_
