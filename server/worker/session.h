// The worker's line to its server: attaches, delivers events until they are acknowledged, takes
// commands, and dials again for as long as the lease lasts.
#ifndef ATELIER_SERVER_WORKER_SESSION_H_
#define ATELIER_SERVER_WORKER_SESSION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "atelier/worker/v1/worker_service.grpc.pb.h"
#include "server/worker/awake_time.h"
#include "server/worker/outbox.h"
#include "server/worker/server_channel.h"

namespace atelier::worker {

// What a session tells the worker. The first two may come more than once, the others end it.
enum class Command {
  kStop,       // Finish with what there is.
  kSuspend,    // Write a checkpoint and end.
  kLeaseOver,  // The server could not be reached for the lease: it has given the attempt up.
  kUnwanted,   // The server refuses the attempt.
};

// Thread-safe. One thread of its own, beside gRPC's.
class Session {
 public:
  struct Options {
    ServerLine server;
    v1::Hello hello;
    // How long to try before the first assignment, which names the lease.
    absl::Duration first_contact = absl::Seconds(60);
    // Pause between two tries; doubles from one to the other.
    absl::Duration min_backoff = absl::Milliseconds(50);
    absl::Duration max_backoff = absl::Seconds(1);
    // Called on the session's thread, with no lock held.
    std::function<void(Command)> on_command;
    Outbox::Options outbox = {};
  };

  // Bytes of the messages exchanged with their five bytes of framing each; HTTP/2's own headers and
  // control frames, some ten bytes a message, are not counted.
  struct Traffic {
    std::int64_t sent_bytes = 0;
    std::int64_t received_bytes = 0;
  };

  // Dials at once, in the background.
  explicit Session(Options options);
  // Hangs up; what was not delivered is lost.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Waits for the first assignment; nothing if the session ended before.
  std::optional<v1::Assignment> AwaitAssignment();

  // Takes an event to deliver, with the time it has or else now. Never waits.
  void Send(v1::WorkerEvent event);

  // Waits until everything sent is stored by the server; false if the session or `timeout` ended
  // before.
  bool AwaitDelivered(absl::Duration timeout = absl::InfiniteDuration());

  // Why the session ended: DEADLINE_EXCEEDED if the lease is over, the server's answer if it does
  // not want the attempt; OK while it goes on.
  absl::Status end() const;

  Traffic traffic() const;

  // For further calls to the server. It dials anew when it has to.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

 private:
  class Connection;

  // How the call of the present connection stands.
  struct Call {
    bool greeted = false;   // The assignment has come.
    bool writing = true;    // A write is under way; the first is the hello.
    bool received = false;  // A message waits to be taken.
    bool ended = false;     // No message will come any more.
    bool done = false;      // gRPC has let go of it.
    grpc::Status status;    // How it ended.
  };

  void Run();
  // Talks over one connection until it ends; answers with how.
  absl::Status Converse(Connection* connection);
  // Waits until something is to be done on the connection. What kSend is to send is in it then.
  enum class Step { kNothing, kSend, kReceive, kEnded, kHangUp };
  Step AwaitStep(Connection* connection);
  absl::Status Handle(const v1::AttachResponse& response);
  void End(absl::Status status, Command command);

  // Constant after construction.
  const Options options_;
  const std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::WorkerService::Stub> stub_;

  // How long to go on without a word from the server. Longer than the lease: a server that was held
  // up for that long still waits for this worker, and the last word is some heartbeats old.
  absl::Duration patience() const { return assigned_ ? 3 * lease_ / 2 : lease_; }

  // Used by the session's thread alone.
  AwakeTime time_;
  bool assigned_ = false;  // `lease_` is the server's.
  absl::Duration lease_;
  absl::Duration last_word_;  // When the server was last heard.
  absl::Duration last_sent_;

  mutable absl::Mutex mutex_;
  Outbox outbox_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::Assignment> assignment_ ABSL_GUARDED_BY(mutex_);
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
  Call call_ ABSL_GUARDED_BY(mutex_);
  Traffic traffic_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_SESSION_H_
