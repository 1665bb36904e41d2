// What went wrong with a call, as sentences: one a line, each with what to do next where that
// helps. The answer's error details are read; a wrong field is named as the command line names it.
// Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_CALLS_STATUS_TEXT_H_
#define ATELIER_CLIENT_CALLS_STATUS_TEXT_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/status.h"

namespace atelier::client {

// The flag or argument that a request's field comes from: `--batch-size` for `spec.batch_size`.
std::string FlagOf(absl::string_view field);

using FieldNamer = std::function<std::string(absl::string_view field)>;

// The status of a call to the server at `address`, with the same code. The message is free of
// control characters.
absl::Status ToStatus(const grpc::Status& status, absl::string_view address,
                      const FieldNamer& name_field = FlagOf);

// UNAVAILABLE: nobody listens there.
absl::Status NoServer(absl::string_view address);

// UNAVAILABLE: what kept us from connecting, by the words `why` of gRPC. `authorities` is the file
// we trust, empty without TLS.
absl::Status NotConnected(absl::string_view why, absl::string_view address,
                          absl::string_view authorities);

// Whether the connection broke, or the server is going: whoever repeats the call may be luckier.
// Other errors are the server's answer and will not change.
bool IsBroken(const grpc::Status& status);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_STATUS_TEXT_H_
