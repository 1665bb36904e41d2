#include "server/worker/session.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "google/protobuf/util/time_util.h"
#include "grpcpp/grpcpp.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

using google::protobuf::util::TimeUtil;

constexpr absl::Duration kDefaultLease = absl::Seconds(30);

// gRPC puts five bytes before every message.
std::int64_t WireBytes(const google::protobuf::MessageLite& message) {
  return static_cast<std::int64_t>(message.ByteSizeLong()) + 5;
}

// The server's answers that dialling again cannot change.
bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

}  // namespace

// One call. Its operations are started by the session's thread, and gRPC's threads tell here when
// they are done. It holds the call open (AddHold) until Finish, so that none is started after its
// end.
class Session::Connection final
    : public grpc::ClientBidiReactor<v1::AttachRequest, v1::AttachResponse> {
 public:
  explicit Connection(Session* session) : session_(session), dialled_(session->time_.Now()) {
    *outgoing_.mutable_hello() = session_->options_.hello;
    {
      absl::MutexLock lock(&session_->mutex_);
      session_->call_ = Call();
      session_->traffic_.sent_bytes += WireBytes(outgoing_);
    }
    session_->stub_->async()->Attach(&context_, this);
    AddHold();
    StartWrite(&outgoing_);
    StartRead(&incoming_);
    StartCall();
  }

  // Sends `outgoing_`, after Call::writing was set.
  void Write() { StartWrite(&outgoing_); }

  // After Call::received: takes the message and reads on.
  v1::AttachResponse Read() {
    v1::AttachResponse response;
    {
      absl::MutexLock lock(&session_->mutex_);
      session_->call_.received = false;
      response.Swap(&incoming_);
      session_->traffic_.received_bytes += WireBytes(response);
    }
    StartRead(&incoming_);
    return response;
  }

  // Ends the call if the server has not, and answers with how it ended: never OK, since a session
  // has no end of the server's making.
  absl::Status Finish(bool cancel) {
    if (cancel) context_.TryCancel();
    RemoveHold();
    absl::MutexLock lock(&session_->mutex_);
    session_->mutex_.Await(absl::Condition(&session_->call_.done));
    const grpc::Status& status = session_->call_.status;
    if (status.ok()) return absl::UnavailableError("the server ended the call");
    return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
  }

  void OnReadDone(bool ok) override {
    absl::MutexLock lock(&session_->mutex_);
    (ok ? session_->call_.received : session_->call_.ended) = true;
  }
  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&session_->mutex_);
    session_->call_.writing = !ok;  // One that failed ends the call, and the read says so.
  }
  void OnDone(const grpc::Status& status) override {
    absl::MutexLock lock(&session_->mutex_);
    session_->call_.status = status;
    session_->call_.done = true;
  }

 private:
  friend class Session;

  Session* const session_;
  const absl::Duration dialled_;
  grpc::ClientContext context_;
  v1::AttachRequest outgoing_;   // gRPC's while Call::writing.
  v1::AttachResponse incoming_;  // gRPC's until Call::received.
};

Session::Session(Options options)
    : options_(std::move(options)),
      channel_(DialServer(options_.server)),
      stub_(v1::WorkerService::NewStub(channel_)),
      lease_(options_.first_contact),
      last_word_(time_.Now()),
      last_sent_(last_word_),
      outbox_(options_.outbox) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "session");
}

Session::~Session() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  thread_.join();
}

std::optional<v1::Assignment> Session::AwaitAssignment() {
  absl::MutexLock lock(&mutex_);
  const auto settled = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return assignment_.has_value() || !end_.ok();
  };
  mutex_.Await(absl::Condition(&settled));
  return assignment_;
}

void Session::Send(v1::WorkerEvent event) {
  if (!event.has_time()) {
    *event.mutable_time() = TimeUtil::NanosecondsToTimestamp(absl::GetCurrentTimeNanos());
  }
  absl::MutexLock lock(&mutex_);
  if (end_.ok()) outbox_.Add(std::move(event));
}

bool Session::AwaitDelivered(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const auto settled = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return outbox_.empty() || !end_.ok();
  };
  mutex_.AwaitWithTimeout(absl::Condition(&settled), timeout);
  return outbox_.empty();
}

absl::Status Session::end() const {
  absl::MutexLock lock(&mutex_);
  return end_;
}

Session::Traffic Session::traffic() const {
  absl::MutexLock lock(&mutex_);
  return traffic_;
}

void Session::Run() {
  absl::Duration backoff = options_.min_backoff;
  bool told = false;
  while (true) {
    const absl::Duration heard_before = last_word_;
    absl::Status status;
    {
      Connection connection(this);
      status = Converse(&connection);
    }
    if (last_word_ != heard_before) {
      backoff = options_.min_backoff;
      told = false;
    }
    const absl::Duration left = last_word_ + patience() - time_.Now();
    {
      absl::MutexLock lock(&mutex_);
      if (closing_ || outbox_.finished()) return;
    }
    if (IsRefusal(status)) return End(status, Command::kUnwanted);
    if (left <= absl::ZeroDuration()) {
      return End(absl::DeadlineExceededError(absl::StrCat("no message from the server for ",
                                                          absl::FormatDuration(patience()), " (",
                                                          status.message(), ")")),
                 Command::kLeaseOver);
    }
    if (!std::exchange(told, true)) {
      spdlog::warn("no connection to the server ({}); retrying for {:.1f} s",
                   std::string(status.message()), absl::ToDoubleSeconds(left));
    }
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&closing_),
                            std::min({backoff, left, AwakeTime::kLongestWait}));
    backoff = std::min(2 * backoff, options_.max_backoff);
  }
}

Session::Step Session::AwaitStep(Connection* connection) {
  absl::MutexLock lock(&mutex_);
  const bool writing = call_.writing;
  const bool may_write = call_.greeted && !writing;
  // A server that is silent for this long on one connection may answer on another, while there is
  // still time.
  const absl::Duration give_up =
      call_.greeted ? last_word_ + 2 * lease_ / 3
                    : std::min(connection->dialled_ + lease_ / 3, last_word_ + patience());
  const absl::Duration heartbeat = last_sent_ + lease_ / 4;
  const auto has_work = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return closing_ || call_.ended || call_.received || call_.writing != writing ||
           (may_write && outbox_.HasUnsent());
  };
  const absl::Duration wait = (may_write ? std::min(give_up, heartbeat) : give_up) - time_.Now();
  mutex_.AwaitWithTimeout(absl::Condition(&has_work), std::min(wait, AwakeTime::kLongestWait));

  if (closing_) return Step::kHangUp;
  if (call_.received) return Step::kReceive;
  if (call_.ended) return Step::kEnded;
  if (time_.Now() >= give_up) return Step::kHangUp;
  if (!may_write) return Step::kNothing;
  v1::AttachRequest& request = connection->outgoing_;
  request.Clear();
  if (outbox_.HasUnsent()) {
    outbox_.FillReport(request.mutable_report());
  } else if (time_.Now() >= heartbeat) {
    request.mutable_heartbeat();
  } else {
    return Step::kNothing;
  }
  call_.writing = true;
  traffic_.sent_bytes += WireBytes(request);
  return Step::kSend;
}

absl::Status Session::Converse(Connection* connection) {
  while (true) {
    switch (AwaitStep(connection)) {
      case Step::kNothing:
        break;
      case Step::kSend:
        last_sent_ = time_.Now();
        connection->Write();
        break;
      case Step::kReceive:
        last_word_ = time_.Now();
        if (absl::Status status = Handle(connection->Read()); !status.ok()) {
          connection->Finish(/*cancel=*/true).IgnoreError();
          return status;
        }
        break;
      case Step::kEnded:
        return connection->Finish(/*cancel=*/false);
      case Step::kHangUp:
        connection->Finish(/*cancel=*/true).IgnoreError();
        return absl::UnavailableError("the server does not answer");
    }
  }
}

absl::Status Session::Handle(const v1::AttachResponse& response) {
  switch (response.message_case()) {
    case v1::AttachResponse::kAssignment: {
      const v1::Assignment& assignment = response.assignment();
      const auto seconds = TimeUtil::DurationToMilliseconds(assignment.lease());
      lease_ = seconds > 0 ? absl::Milliseconds(seconds) : kDefaultLease;
      assigned_ = true;
      spdlog::info("attached to the server at {}; it has {} events of this attempt",
                   options_.server.address, assignment.acknowledged());
      absl::MutexLock lock(&mutex_);
      call_.greeted = true;
      if (!assignment_.has_value()) assignment_ = assignment;
      return outbox_.Reconnect(assignment.acknowledged());
    }
    case v1::AttachResponse::kAcknowledge: {
      absl::MutexLock lock(&mutex_);
      outbox_.Acknowledge(response.acknowledge().number());
      return absl::OkStatus();
    }
    case v1::AttachResponse::kStop:
      options_.on_command(Command::kStop);
      return absl::OkStatus();
    case v1::AttachResponse::kSuspend:
      options_.on_command(Command::kSuspend);
      return absl::OkStatus();
    default:
      return absl::OkStatus();  // Of a newer server; what it must have, it asks for again.
  }
}

void Session::End(absl::Status status, Command command) {
  spdlog::error("the session has ended: {}", std::string(status.message()));
  {
    absl::MutexLock lock(&mutex_);
    end_ = std::move(status);
  }
  options_.on_command(command);
}

}  // namespace atelier::worker
