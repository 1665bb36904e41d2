// The gRPC service that workers attach to: a session for each connection, thin over a SessionHost.
#ifndef ATELIER_SERVER_LAUNCH_WORKER_SERVICE_H_
#define ATELIER_SERVER_LAUNCH_WORKER_SERVICE_H_

#include "atelier/worker/v1/worker_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/launch/session_host.h"

namespace atelier::launch {

// The largest message a worker sends: the outcome of a job, with a prediction for every test image.
// The server that this service is added to must take messages of this size.
inline constexpr int kMaxWorkerMessageBytes = 64 << 20;

// Thread-safe. What waits for the disk runs on `tasks`, one task at a time for each session: while
// a report is being stored nothing more is read from that worker. If the queue is full the call
// ends UNAVAILABLE, and the worker dials again.
class WorkerService final : public worker::v1::WorkerService::CallbackService {
 public:
  // Both must live until the gRPC server has shut down and, since sessions then tell the host that
  // they have ended, until `tasks` is destroyed.
  WorkerService(SessionHost* host, TaskQueue* tasks) : host_(host), tasks_(tasks) {}

  grpc::ServerBidiReactor<worker::v1::AttachRequest, worker::v1::AttachResponse>* Attach(
      grpc::CallbackServerContext* context) override;

 private:
  SessionHost* const host_;
  TaskQueue* const tasks_;
};

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_WORKER_SERVICE_H_
