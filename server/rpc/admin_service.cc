#include "server/rpc/admin_service.h"

#include "server/jobs/error.h"
#include "server/rpc/access_interceptor.h"
#include "server/rpc/backup_source.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {
namespace {

v1::CallerRole RoleToProto(access::Role role) {
  switch (role) {
    case access::Role::kClassify:
      return v1::CALLER_ROLE_CLASSIFY;
    case access::Role::kViewer:
      return v1::CALLER_ROLE_VIEWER;
    case access::Role::kOperator:
      return v1::CALLER_ROLE_OPERATOR;
    case access::Role::kAdmin:
      return v1::CALLER_ROLE_ADMIN;
  }
  return v1::CALLER_ROLE_UNSPECIFIED;
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::GetCaller(grpc::CallbackServerContext* context,
                                                  const v1::GetCallerRequest* /*request*/,
                                                  v1::Caller* response) {
  return RunUnary(context, with_.tasks, response,
                  [caller = CallerOf(*context)]() -> absl::StatusOr<v1::Caller> {
                    v1::Caller answer;
                    answer.set_name(caller->name);
                    answer.set_role(RoleToProto(caller->role));
                    answer.set_credential(caller->credential);
                    for (const access::LimitField& field : access::LimitFields()) {
                      const auto most = caller->limits.*field.value;
                      if (!most.has_value()) continue;
                      v1::CallerLimit* const limit = answer.add_limits();
                      limit->set_name(std::string(field.name));
                      limit->set_value(*most);
                    }
                    return answer;
                  });
}

grpc::ServerUnaryReactor* AdminService::ListAuditEntries(grpc::CallbackServerContext* context,
                                                         const v1::ListAuditEntriesRequest* request,
                                                         v1::ListAuditEntriesResponse* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request]() -> absl::StatusOr<v1::ListAuditEntriesResponse> {
                    if (with_.audit != nullptr) return with_.audit->List(*request);
                    return jobs::Error(absl::StatusCode::kFailedPrecondition, "NO_AUDIT_LOG",
                                       "The server keeps no audit log (--audit_space is 0).");
                  });
}

grpc::ServerWriteReactor<v1::BackupChunk>* AdminService::Backup(
    grpc::CallbackServerContext* context, const v1::BackupRequest* /*request*/) {
  return StreamReactor<v1::BackupChunk>::Start(
      with_.streams, context, std::make_unique<BackupSource>(with_.begin_backup, with_.tasks));
}

}  // namespace atelier::rpc
