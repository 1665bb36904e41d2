// Why the client could not connect, as a sentence that says what to do. Thread-safe: a pure
// function.
#ifndef ATELIER_CLIENT_CALLS_CONNECTION_ERROR_H_
#define ATELIER_CLIENT_CALLS_CONNECTION_ERROR_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "client/calls/probe.h"

namespace atelier::client {

// UNAVAILABLE. `why` is gRPC's message; `probe` what was found at `address`.
absl::Status NotConnected(absl::string_view why, absl::string_view address, const ProbeFiles& files,
                          const Probe& probe);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_CONNECTION_ERROR_H_
