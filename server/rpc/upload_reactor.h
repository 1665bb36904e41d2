// A client stream whose pieces go into an upload, one at a time: a piece is read from the client
// when the one before it is written, so a stream holds one piece of memory.
#ifndef ATELIER_SERVER_RPC_UPLOAD_REACTOR_H_
#define ATELIER_SERVER_RPC_UPLOAD_REACTOR_H_

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "atelier/v1/dataset_service.pb.h"
#include "grpcpp/support/server_callback.h"
#include "server/access/caller.h"
#include "server/base/task_queue.h"
#include "server/rpc/call_memory.h"
#include "server/rpc/stream_set.h"
#include "server/uploads/upload_folder.h"

namespace atelier::rpc {

// Lives as long as anything can reach it: gRPC, a task, the stream set.
class UploadReactor final : public grpc::ServerReadReactor<v1::WriteUploadRequest>,
                            public StreamSet::Stream,
                            public std::enable_shared_from_this<UploadReactor> {
 public:
  // All must outlive the calls.
  struct Dependencies {
    uploads::UploadFolder* uploads;
    TaskQueue* tasks;
    StreamSet* streams;
  };

  // For a handler to return.
  static grpc::ServerReadReactor<v1::WriteUploadRequest>* Start(
      const Dependencies& with, const grpc::ServerContextBase* context, v1::Upload* response);

  void End(const absl::Status& status) override;
  void OnReadDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  UploadReactor(const Dependencies& with, const grpc::ServerContextBase* context,
                v1::Upload* response);

  // On a thread of the task queue; no two at once.
  void TakePiece();
  void TakeEnd();
  absl::Status Write();
  // Lets go of the upload, and ends the call unless that was done.
  void FinishWith(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void Post(void (UploadReactor::*step)());

  // Constant after construction.
  const Dependencies with_;
  v1::Upload* const response_;
  const std::shared_ptr<const access::Caller> caller_;
  std::shared_ptr<UploadReactor> self_;  // Until gRPC is done with the call.

  // Used by one callback or task at a time.
  CallMemory::Share share_;
  v1::WriteUploadRequest request_;
  std::unique_ptr<uploads::UploadWriter> writer_;

  absl::Mutex mutex_;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;  // Nothing may be started any more.
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_UPLOAD_REACTOR_H_
