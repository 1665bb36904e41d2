// Follows a job's events until it has ended, by StreamMetrics. After a lost connection it continues
// after the last event, so the listener gets every event once. Used by one thread; everything
// happens within Follow.
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
    // Only events with higher numbers are followed.
    std::int64_t after_number = 0;
    // Leaves out progress within epochs and resource samples.
    bool epochs_only = false;
    // How long to wait after a lost connection.
    absl::Duration patience = absl::Seconds(60);
    // How often OnTick and `interrupted` are called while there are no events.
    absl::Duration tick = absl::Milliseconds(100);
    std::function<bool()> interrupted = [] { return false; };
  };

  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnEvent(const v1::JobEvent& event) = 0;
    // The job still waits or runs without events. Called repeatedly.
    virtual void OnWaiting(const v1::Waiting& /*waiting*/) {}
    // After every event, and while there is none.
    virtual void OnTick() {}
    // The connection was lost; the follower tries to restore it.
    virtual void OnConnectionLost() {}
    virtual void OnConnectionRestored() {}
  };

  JobFollower(Connection* connection, Options options);

  // OK when the job has ended and its last event was seen. CANCELLED when interrupted, UNAVAILABLE
  // when a lost connection was not restored in time, otherwise the server's error.
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
  // When the connection was lost; absent while connected.
  std::optional<absl::Time> lost_since_;
  // When the channel was connected again, before the first event.
  std::optional<absl::Time> connected_since_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_JOB_FOLLOWER_H_
