// What the stream of a backup sends.
#ifndef ATELIER_SERVER_RPC_BACKUP_SOURCE_H_
#define ATELIER_SERVER_RPC_BACKUP_SOURCE_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "atelier/v1/admin_service.pb.h"
#include "server/base/task_queue.h"
#include "server/rpc/stream_reactor.h"
#include "server/upkeep/backup.h"

namespace atelier::rpc {

class BackupSource final : public StreamSource<v1::BackupChunk> {
 public:
  using Begin = std::function<absl::StatusOr<std::unique_ptr<upkeep::Backup>>()>;

  // What the backup leaves on the disk is removed by a task of `tasks`, which must outlive the
  // source.
  BackupSource(Begin begin, TaskQueue* tasks) : begin_(std::move(begin)), tasks_(tasks) {}
  ~BackupSource() override;

  // Errors of upkeep::Backup.
  absl::StatusOr<Batch<v1::BackupChunk>> Produce() override;
  // Never called: a backup never waits for more.
  bool Await(std::function<void()>) override { return false; }
  bool TakeBack() override { return false; }

 private:
  const Begin begin_;
  TaskQueue* const tasks_;
  std::shared_ptr<upkeep::Backup> backup_;  // Null until it is begun.
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_BACKUP_SOURCE_H_
