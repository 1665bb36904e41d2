// Asks every call who makes it, before its handler runs: the one place where a call of any service
// is admitted or refused. Calls that change something go into the audit log, and those that are
// refused although it is known who makes them.
//
// A handler still runs for a call that is refused, since gRPC has no other way; it asks
// CheckAdmitted first, as all do by BeginUnary and the reactors of streams. Whatever a handler that
// does not ask answers is replaced by the refusal.
#ifndef ATELIER_SERVER_RPC_ACCESS_INTERCEPTOR_H_
#define ATELIER_SERVER_RPC_ACCESS_INTERCEPTOR_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/access/audit_log.h"
#include "server/access/caller.h"
#include "server/access/gatekeeper.h"

namespace atelier::rpc {

// For grpc::ServerBuilder. `audit` may be null for no log; both must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> AskCallers(
    access::Gatekeeper* gatekeeper, access::AuditLog* audit);

// INTERNAL, naming a method of these services that access::MethodTable does not have, if there is
// one: a server does not start without a rule for each. `services` are full names whose descriptors
// are linked in.
absl::Status CheckRules(const std::vector<std::string>& services);

// OK, or why the call is refused: UNAUTHENTICATED or PERMISSION_DENIED, or RESOURCE_EXHAUSTED
// (TOO_MANY_ATTEMPTS) while too many wrong tokens wait for their answers, or (CALLER_LIMIT) for a
// caller with too many calls or streams. Only for the handler of
// the call, on the thread on which gRPC calls it.
absl::Status CheckAdmitted(const grpc::ServerContextBase& context);

// Who makes the call; under the same condition. Never null.
std::shared_ptr<const access::Caller> CallerOf(const grpc::ServerContextBase& context);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_ACCESS_INTERCEPTOR_H_
