// Errors as they go over the wire: absl::Status with the payloads of server/jobs/error.h becomes
// grpc::Status with a google.rpc.Status in its details, so that clients of any language can tell
// what was wrong. Thread-safe: free functions.
#ifndef ATELIER_SERVER_RPC_STATUS_H_
#define ATELIER_SERVER_RPC_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace atelier::rpc {

// The status a call ends with. Payloads are carried over as they are; a status that has neither
// ErrorInfo nor BadRequest gets an ErrorInfo whose reason is its code's name, and
// RESOURCE_EXHAUSTED without QuotaFailure a RetryInfo. Texts are clipped, so that the trailers stay
// below the 8 KiB that clients accept.
grpc::Status ToGrpcStatus(const absl::Status& status);

// RESOURCE_EXHAUSTED (SERVER_BUSY): too many calls wait for the disk already.
absl::Status ServerBusy();

// UNAVAILABLE (SHUTTING_DOWN): the server is stopping; clients come back to its successor.
absl::Status ServerStopping();

// UNIMPLEMENTED (SERVING_REPLICA): what a serving replica does not do.
absl::Status OnlyReplica();

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_STATUS_H_
