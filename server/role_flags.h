// Which flags fit --role. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_ROLE_FLAGS_H_
#define ATELIER_SERVER_ROLE_FLAGS_H_

#include "absl/status/status.h"
#include "server/server_options.h"

namespace atelier::server {

// INVALID_ARGUMENT with a sentence that names the first flag that the role has no use for, or that
// it misses.
absl::Status CheckRole(const ServerFlags& flags);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_ROLE_FLAGS_H_
