// What went wrong with a call, as sentences, one per line, with what to do next where that helps. A
// wrong field of a request is called by its option. Thread-safe: pure functions.
#ifndef ATELIER_CLIENT_CALLS_STATUS_TEXT_H_
#define ATELIER_CLIENT_CALLS_STATUS_TEXT_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/status.h"

namespace atelier::client {

// The option or argument that a request's field comes from: `--batch-size` for `spec.batch_size`.
std::string FlagOf(absl::string_view field);

using FieldNamer = std::function<std::string(absl::string_view field)>;

// The resource name in a request's field `name` or `model`; empty if it has neither.
std::string NameIn(const google::protobuf::Message& request);

// The status of a call to the server at `address`, with the same code. The message has no control
// characters. `name` is the resource that the request named; advice such as `atelier stop night-1`
// contains it.
absl::Status ToStatus(const grpc::Status& status, absl::string_view address,
                      const FieldNamer& name_field = FlagOf, absl::string_view name = "");

// UNAVAILABLE: no server listens at the address.
absl::Status NoServer(absl::string_view address);

// Whether the connection broke or the server is stopping, so that repeating the call may succeed.
// Other errors are the server's answer and will not change.
bool IsBroken(const grpc::Status& status);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_STATUS_TEXT_H_
