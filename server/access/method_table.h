// The one table of what each method of the public services needs of its caller. A method that is
// not in it is refused to everybody.
#ifndef ATELIER_SERVER_ACCESS_METHOD_TABLE_H_
#define ATELIER_SERVER_ACCESS_METHOD_TABLE_H_

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/access/role.h"

namespace atelier::access {

struct MethodRule {
  absl::string_view path;    // `/package.Service/Method`, as gRPC calls it.
  std::optional<Role> role;  // The least that is needed; nothing: anybody may call it.
  bool changes = false;      // Something on the server is another afterwards.
  // Below an admin, for resources that the caller made itself. The method's handler checks it.
  bool own = false;
};

absl::Span<const MethodRule> MethodTable();

// Null if the table does not have it.
const MethodRule* FindRule(absl::string_view path);

}  // namespace atelier::access

#endif  // ATELIER_SERVER_ACCESS_METHOD_TABLE_H_
