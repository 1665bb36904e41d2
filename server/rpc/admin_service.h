// atelier.v1.AdminService over what is known of the caller, and the audit log.
#ifndef ATELIER_SERVER_RPC_ADMIN_SERVICE_H_
#define ATELIER_SERVER_RPC_ADMIN_SERVICE_H_

#include "atelier/v1/admin_service.grpc.pb.h"
#include "server/access/audit_log.h"
#include "server/base/task_queue.h"

namespace atelier::rpc {

// Thread-safe.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  // All must outlive the service.
  struct Dependencies {
    TaskQueue* tasks;
    access::AuditLog* audit;  // Null if there is none.
  };

  explicit AdminService(const Dependencies& with) : with_(with) {}

  grpc::ServerUnaryReactor* GetCaller(grpc::CallbackServerContext* context,
                                      const v1::GetCallerRequest* request,
                                      v1::Caller* response) override;
  grpc::ServerUnaryReactor* ListAuditEntries(grpc::CallbackServerContext* context,
                                             const v1::ListAuditEntriesRequest* request,
                                             v1::ListAuditEntriesResponse* response) override;

 private:
  const Dependencies with_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_ADMIN_SERVICE_H_
