// Who makes a call, and what follows from it.
#ifndef ATELIER_SERVER_ACCESS_CALLER_H_
#define ATELIER_SERVER_ACCESS_CALLER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/access/limits.h"
#include "proto/access/role.h"

namespace atelier::access {

// What one caller does at the moment, over all its connections. Thread-safe.
struct CallerActivity {
  std::atomic<std::int64_t> calls = 0;    // In flight that are no streams.
  std::atomic<std::int64_t> streams = 0;  // Open.
};

// Values; thread-safe.
struct Caller {
  std::string name = {};  // Empty where the server asks nobody who they are.
  Role role = Role::kAdmin;
  std::string credential = "none";  // How it showed who it is: `token`, `certificate` or `none`.
  Limits limits = {};
  // Counted for those alone whose calls or streams are limited; null otherwise.
  std::shared_ptr<CallerActivity> activity = {};
};

// The caller of a server that asks nobody who they are: it may do everything.
std::shared_ptr<const Caller> Anybody();

// PERMISSION_DENIED (ROLE_NEEDED) unless the caller has `role` or one above it. `path` is the
// method's.
absl::Status CheckRole(const Caller& caller, Role role, absl::string_view path);

// PERMISSION_DENIED (NOT_YOURS) unless the caller made what is meant, or is an admin. `what` names
// it, such as `jobs/a`; `creator` is who made it.
absl::Status CheckOwn(const Caller& caller, absl::string_view what, absl::string_view creator);

}  // namespace atelier::access

#endif  // ATELIER_SERVER_ACCESS_CALLER_H_
