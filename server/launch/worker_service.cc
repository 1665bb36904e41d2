#include "server/launch/worker_service.h"

#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/base/mutex.h"

namespace atelier::launch {

grpc::Status ToGrpc(const absl::Status& status) {
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

namespace {

using worker::v1::AttachRequest;
using worker::v1::AttachResponse;

// One connection of one worker. Owned by itself while the call lasts, and by the host as the link
// to its worker.
class WorkerSession final : public grpc::ServerBidiReactor<AttachRequest, AttachResponse>,
                            public jobs::WorkerLink,
                            public std::enable_shared_from_this<WorkerSession> {
 public:
  WorkerSession(SessionHost* host, TaskQueue* tasks) : host_(host), tasks_(tasks) {}

  // To be called once, right after construction.
  void Begin() {
    self_ = shared_from_this();
    StartRead(&request_);
  }

  void Stop() override {
    MutexLock lock(&mutex_);
    stop_due_ = true;
    WriteNext();
  }
  void Suspend() override {
    MutexLock lock(&mutex_);
    suspend_due_ = true;
    WriteNext();
  }
  void Close(const absl::Status& status) override { End(ToGrpc(status)); }

  void OnReadDone(bool ok) override {
    if (!ok) return End(grpc::Status::OK);  // The worker has gone, or has no more to say.
    if (!tasks_->TryAdd([self = shared_from_this()] { self->Handle(); })) {
      End({grpc::StatusCode::UNAVAILABLE, "the server is busy; dial again"});
    }
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    writing_ = false;
    if (!ok && !end_.has_value()) end_ = grpc::Status::OK;
    WriteNext();
  }

  void OnDone() override {
    bool attached;
    {
      MutexLock lock(&mutex_);
      done_ = true;
      attached = attached_;
    }
    const std::shared_ptr<WorkerSession> self = std::move(self_);
    if (!attached) return;
    // If the queue is full the host learns it from the lease.
    [[maybe_unused]] const bool told = tasks_->TryAdd([self] { self->Detach(); });
  }

 private:
  // Takes the message that was read; on a thread of `tasks_`.
  void Handle() {
    const absl::Status status = Dispatch();
    if (!status.ok()) return End(ToGrpc(status));
    MutexLock lock(&mutex_);
    WriteNext();
    if (finished_) return;
    request_.Clear();
    StartRead(&request_);
  }

  absl::Status Dispatch() {
    if (request_.has_hello() != job_.empty()) {
      return absl::InvalidArgumentError("a session begins with one hello, and has no other");
    }
    switch (request_.message_case()) {
      case AttachRequest::kHello:
        return Greet();
      case AttachRequest::kReport:
        return Report();
      case AttachRequest::kHeartbeat: {
        absl::Status status = host_->Heartbeat(job_, attempt_);
        // The worker, too, has to hear that the other side lives.
        MutexLock lock(&mutex_);
        acknowledge_due_ = true;
        return status;
      }
      default:
        return absl::InvalidArgumentError("a message of an unknown kind");
    }
  }

  absl::Status Greet() {
    job_ = request_.hello().job();
    attempt_ = request_.hello().attempt();
    if (job_.empty()) return absl::InvalidArgumentError("a hello without a job");
    auto attachment = host_->Attach(request_.hello(), shared_from_this());
    if (!attachment.ok()) return attachment.status();
    bool done;
    {
      MutexLock lock(&mutex_);
      acknowledged_ = attachment->assignment.acknowledged();
      assignment_ = std::move(attachment->assignment);
      stop_due_ |= attachment->stop;
      suspend_due_ |= attachment->suspend;
      attached_ = true;
      done = done_;
    }
    if (done) Detach();  // The connection broke meanwhile.
    return absl::OkStatus();
  }

  absl::Status Report() {
    auto* events = request_.mutable_report()->mutable_events();
    const std::vector<worker::v1::WorkerEvent> batch(std::make_move_iterator(events->begin()),
                                                     std::make_move_iterator(events->end()));
    const absl::StatusOr<std::int64_t> stored = host_->Report(job_, attempt_, batch);
    if (!stored.ok()) return stored.status();
    MutexLock lock(&mutex_);
    acknowledged_ = *stored;
    acknowledge_due_ = true;
    return absl::OkStatus();
  }

  void Detach() { host_->Detached(job_, attempt_, this); }

  void End(grpc::Status status) {
    MutexLock lock(&mutex_);
    if (!end_.has_value()) end_ = std::move(status);
    WriteNext();
  }

  // Starts what is due next, unless a message is on its way: the assignment, commands, an
  // acknowledgement, the end of the call. After the end nothing may be started.
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_) return;
    response_.Clear();
    if (attached_ && assignment_.has_value()) {
      *response_.mutable_assignment() = *std::exchange(assignment_, std::nullopt);
    } else if (attached_ && std::exchange(acknowledge_due_, false)) {
      response_.mutable_acknowledge()->set_number(acknowledged_);
    } else if (end_.has_value()) {
      finished_ = true;
      Finish(*end_);
      return;
    } else if (attached_ && std::exchange(stop_due_, false)) {
      response_.mutable_stop();
    } else if (attached_ && std::exchange(suspend_due_, false)) {
      response_.mutable_suspend();
    } else {
      return;
    }
    writing_ = true;
    StartWrite(&response_);
  }

  // Constant after construction.
  SessionHost* const host_;
  TaskQueue* const tasks_;

  // Used by one callback or task at a time.
  std::shared_ptr<WorkerSession> self_;
  AttachRequest request_;
  std::string job_;  // Empty before the hello.
  int attempt_ = 0;

  Mutex mutex_;
  AttachResponse response_ ABSL_GUARDED_BY(mutex_);
  bool attached_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<worker::v1::Assignment> assignment_ ABSL_GUARDED_BY(mutex_);
  bool acknowledge_due_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stop_due_ ABSL_GUARDED_BY(mutex_) = false;
  bool suspend_due_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<grpc::Status> end_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

grpc::ServerBidiReactor<AttachRequest, AttachResponse>* WorkerService::Attach(
    grpc::CallbackServerContext* /*context*/) {
  const auto session = std::make_shared<WorkerSession>(host_, tasks_);
  session->Begin();
  return session.get();
}

}  // namespace atelier::launch
