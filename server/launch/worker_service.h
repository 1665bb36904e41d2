// The gRPC service that workers attach to: a session for each connection, thin over a SessionHost;
// files for workers that do not see the data directory, thin over AttemptFiles; and what processes
// need that train together.
#ifndef ATELIER_SERVER_LAUNCH_WORKER_SERVICE_H_
#define ATELIER_SERVER_LAUNCH_WORKER_SERVICE_H_

#include <cstddef>

#include "atelier/worker/v1/worker_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/launch/rank_values.h"
#include "server/launch/session_host.h"
#include "server/transfers/attempt_files.h"

namespace atelier::launch {

// The largest message a worker sends: the outcome of a job, with a prediction for every test image.
// The server that this service is added to must take messages of this size.
inline constexpr int kMaxWorkerMessageBytes = 64 << 20;

// How many files are read or written at once, and how many calls may wait for that; a call holds a
// piece of at most AttemptFiles::kMaxPiece bytes.
inline constexpr int kTransfers = 2;
inline constexpr std::size_t kWaitingTransfers = 64;

// How a call ends.
grpc::Status ToGrpc(const absl::Status& status);

// Thread-safe. What waits for the disk runs on `tasks`, one task at a time for each session: while
// a report is being stored nothing more is read from that worker. If the queue is full the call
// ends UNAVAILABLE, and the worker dials again.
class WorkerService final : public worker::v1::WorkerService::CallbackService {
 public:
  // What is given must live until the gRPC server has shut down and, since sessions then tell the
  // host that they have ended, until `tasks` is destroyed. The files' calls run on `transfers`, so
  // that none of them holds up a session; without, workers cannot be given files.
  WorkerService(SessionHost* host, TaskQueue* tasks, transfers::AttemptFiles* files = nullptr,
                TaskQueue* transfers = nullptr)
      : host_(host), tasks_(tasks), files_(files), transfers_(transfers) {}

  grpc::ServerBidiReactor<worker::v1::AttachRequest, worker::v1::AttachResponse>* Attach(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ListFiles(grpc::CallbackServerContext* context,
                                      const worker::v1::ListFilesRequest* request,
                                      worker::v1::ListFilesResponse* response) override;
  grpc::ServerUnaryReactor* ReadFile(grpc::CallbackServerContext* context,
                                     const worker::v1::ReadFileRequest* request,
                                     worker::v1::ReadFileResponse* response) override;
  grpc::ServerUnaryReactor* WriteFile(grpc::CallbackServerContext* context,
                                      const worker::v1::WriteFileRequest* request,
                                      worker::v1::WriteFileResponse* response) override;
  grpc::ServerUnaryReactor* Join(grpc::CallbackServerContext* context,
                                 const worker::v1::JoinRequest* request,
                                 worker::v1::Assignment* response) override;
  grpc::ServerUnaryReactor* ShareValues(grpc::CallbackServerContext* context,
                                        const worker::v1::ShareValuesRequest* request,
                                        worker::v1::ShareValuesResponse* response) override;

 private:
  SessionHost* const host_;
  TaskQueue* const tasks_;
  transfers::AttemptFiles* const files_;
  TaskQueue* const transfers_;
  RankValues rank_values_;
};

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_WORKER_SERVICE_H_
