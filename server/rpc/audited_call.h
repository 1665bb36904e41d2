// What the audit log says of one call: collected while the call passes, added at its end.
#ifndef ATELIER_SERVER_RPC_AUDITED_CALL_H_
#define ATELIER_SERVER_RPC_AUDITED_CALL_H_

#include <string>

#include "google/protobuf/message.h"
#include "grpcpp/support/status.h"
#include "server/access/audit_log.h"
#include "server/access/caller.h"

namespace atelier::rpc {

// Not thread-safe. Lives as long as its call.
class AuditedCall {
 public:
  // `path` is the method's, `peer` where the call comes from. `log` must outlive it.
  AuditedCall(access::AuditLog* log, const access::Caller& caller, const char* path,
              const std::string& peer);
  // A call without a status was cancelled.
  ~AuditedCall();
  AuditedCall(const AuditedCall&) = delete;
  AuditedCall& operator=(const AuditedCall&) = delete;

  // What it is about: of several requests the first counts, and a response only where no request
  // names anything. Null changes nothing.
  void See(const google::protobuf::Message* message);

  void End(const grpc::Status& status);

 private:
  access::AuditLog* const log_;
  v1::AuditEntry entry_;
  bool ended_ = false;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_AUDITED_CALL_H_
