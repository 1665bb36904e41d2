// What the workers' sessions report to: the job controller, or a test's fake.
#ifndef ATELIER_SERVER_LAUNCH_SESSION_HOST_H_
#define ATELIER_SERVER_LAUNCH_SESSION_HOST_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/worker_link.h"

namespace atelier::launch {

// Thread-safe; calls wait for the disk. The contracts are those of JobController's methods of the
// same names.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual absl::StatusOr<jobs::Attachment> Attach(const worker::v1::Hello& hello,
                                                  std::shared_ptr<jobs::WorkerLink> link) = 0;
  virtual absl::StatusOr<worker::v1::Assignment> Join(const worker::v1::Hello& hello) = 0;
  virtual absl::StatusOr<worker::v1::Assignment> Assigned(const worker::v1::Hello& hello) = 0;
  virtual absl::StatusOr<std::int64_t> Report(absl::string_view job, int attempt,
                                              absl::Span<const worker::v1::WorkerEvent> events) = 0;
  virtual absl::Status Heartbeat(absl::string_view job, int attempt) = 0;
  virtual void Detached(absl::string_view job, int attempt, const jobs::WorkerLink* link) = 0;
};

// The job controller as a host; the controller must outlive it.
class ControllerSessionHost final : public SessionHost {
 public:
  explicit ControllerSessionHost(jobs::JobController* controller) : controller_(controller) {}

  absl::StatusOr<jobs::Attachment> Attach(const worker::v1::Hello& hello,
                                          std::shared_ptr<jobs::WorkerLink> link) override {
    return controller_->Attach(hello, std::move(link));
  }
  absl::StatusOr<worker::v1::Assignment> Join(const worker::v1::Hello& hello) override {
    return controller_->Join(hello);
  }
  absl::StatusOr<worker::v1::Assignment> Assigned(const worker::v1::Hello& hello) override {
    return controller_->Assigned(hello);
  }
  absl::StatusOr<std::int64_t> Report(absl::string_view job, int attempt,
                                      absl::Span<const worker::v1::WorkerEvent> events) override {
    return controller_->Report(job, attempt, events);
  }
  absl::Status Heartbeat(absl::string_view job, int attempt) override {
    return controller_->Heartbeat(job, attempt);
  }
  void Detached(absl::string_view job, int attempt, const jobs::WorkerLink* link) override {
    controller_->Detached(job, attempt, link);
  }

 private:
  jobs::JobController* const controller_;
};

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_SESSION_HOST_H_
