// Follows a job's events until it has ended, also across breaks of the connection: after each it
// goes on behind the last event it saw, so its listener sees every event once. Works with the
// server's StreamMetrics. Used by one thread; everything happens within Follow.
#ifndef ATELIER_CLIENT_FOLLOWING_JOB_FOLLOWER_H_
#define ATELIER_CLIENT_FOLLOWING_JOB_FOLLOWER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "atelier/v1/job.pb.h"
#include "client/calls/connection.h"

namespace atelier::client {

class JobFollower {
 public:
  struct Options {
    // `jobs/{job}`.
    std::string job;
    // Events up to this number were seen before.
    std::int64_t after_number = 0;
    // Leaves out progress within epochs and resource samples.
    bool epochs_only = false;
    // How long a lost connection is waited for.
    absl::Duration patience = absl::Seconds(60);
    // How often the listener is called while nothing happens, and `interrupted` is asked.
    absl::Duration tick = absl::Milliseconds(100);
    std::function<bool()> interrupted = [] { return false; };
  };

  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnEvent(const v1::JobEvent& event) = 0;
    // Nothing happened, and the job still waits or works. Comes with the same words again and
    // again.
    virtual void OnWaiting(const v1::Waiting& /*waiting*/) {}
    // After every event, and while there is none.
    virtual void OnTick() {}
    // The connection broke; it is being waited for.
    virtual void OnConnectionLost() {}
    virtual void OnConnectionRestored() {}
  };

  JobFollower(Connection* connection, Options options);

  // OK when the job has ended and its last event was seen. CANCELLED when interrupted, UNAVAILABLE
  // when a lost connection did not come back, otherwise what the server said.
  absl::Status Follow(Listener* listener);

  // The number of the last event that was seen.
  std::int64_t last_number() const { return last_number_; }

 private:
  // Reads one stream to its end.
  grpc::Status ReadStream(Listener* listener);
  void HandleEvent(const v1::JobEvent& event, Listener* listener);
  // Between events; whether to stop waiting.
  bool Tick(Listener* listener);
  void LoseConnection(Listener* listener);
  void NoticeConnection(Listener* listener);
  bool OutOfPatience() const;
  void Pause(Listener* listener);

  Connection* const connection_;
  const Options options_;
  std::int64_t last_number_;
  bool interrupted_ = false;
  // Since when the connection is lost; absent while it is not.
  std::optional<absl::Time> lost_since_;
  // Since when the channel is connected again, though nothing came through it yet.
  std::optional<absl::Time> connected_since_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_JOB_FOLLOWER_H_
