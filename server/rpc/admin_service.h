// atelier.v1.AdminService over what is known of the caller, the audit log, and backups.
#ifndef ATELIER_SERVER_RPC_ADMIN_SERVICE_H_
#define ATELIER_SERVER_RPC_ADMIN_SERVICE_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "atelier/v1/admin_service.grpc.pb.h"
#include "server/access/audit_log.h"
#include "server/base/task_queue.h"
#include "server/rpc/stream_set.h"
#include "server/upkeep/backup.h"

namespace atelier::rpc {

// Thread-safe.
class AdminService final : public v1::AdminService::CallbackService {
 public:
  // All must outlive the service.
  struct Dependencies {
    TaskQueue* tasks;
    access::AuditLog* audit;  // Null if there is none.
    StreamSet* streams;
    std::function<absl::StatusOr<std::unique_ptr<upkeep::Backup>>()> begin_backup;
  };

  explicit AdminService(Dependencies with) : with_(std::move(with)) {}

  grpc::ServerUnaryReactor* GetCaller(grpc::CallbackServerContext* context,
                                      const v1::GetCallerRequest* request,
                                      v1::Caller* response) override;
  grpc::ServerUnaryReactor* ListAuditEntries(grpc::CallbackServerContext* context,
                                             const v1::ListAuditEntriesRequest* request,
                                             v1::ListAuditEntriesResponse* response) override;
  grpc::ServerWriteReactor<v1::BackupChunk>* Backup(grpc::CallbackServerContext* context,
                                                    const v1::BackupRequest* request) override;

 private:
  const Dependencies with_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_ADMIN_SERVICE_H_
