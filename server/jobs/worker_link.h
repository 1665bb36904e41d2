// The controller's way to a connected worker.
#ifndef ATELIER_SERVER_JOBS_WORKER_LINK_H_
#define ATELIER_SERVER_JOBS_WORKER_LINK_H_

#include "absl/status/status.h"
#include "atelier/worker/v1/worker_service.pb.h"

namespace atelier::jobs {

// What a worker is told when it attaches.
struct Attachment {
  worker::v1::Assignment assignment;
  // Commands that are due; the session sends them right after the assignment.
  bool stop = false;
  bool suspend = false;
};

// Implemented by a worker's session, which hands itself to JobController::Attach. Called from any
// thread, never under a lock of the controller, and possibly before Attach has returned: the
// session sends the assignment first all the same. Calls must not wait: they put a message into the
// session's outbox. Each may come more than once.
class WorkerLink {
 public:
  virtual ~WorkerLink() = default;

  // Asks to finish with what there is.
  virtual void Stop() = 0;
  // Asks for a checkpoint and the end.
  virtual void Suspend() = 0;
  // Ends the session's call with `status`: ABORTED if the attempt is no longer wanted (the worker
  // exits), UNAVAILABLE if a newer connection of the same worker took its place.
  virtual void Close(const absl::Status& status) = 0;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_WORKER_LINK_H_
