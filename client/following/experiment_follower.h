// Follows an experiment until it has ended, also across breaks of the connection. Works with the
// server's StreamExperiment. Used by one thread; everything happens within Follow.
#ifndef ATELIER_CLIENT_FOLLOWING_EXPERIMENT_FOLLOWER_H_
#define ATELIER_CLIENT_FOLLOWING_EXPERIMENT_FOLLOWER_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "atelier/v1/experiment_service.pb.h"
#include "client/calls/connection.h"

namespace atelier::client {

// Takes an update over: what it names is replaced, what it leaves out stays.
void ApplyUpdate(const v1::ExperimentUpdate& update, v1::Experiment* experiment);

class ExperimentFollower {
 public:
  struct Options {
    std::string experiment;  // `experiments/{experiment}`.
    // How long a lost connection is waited for.
    absl::Duration patience = absl::Seconds(60);
    absl::Duration tick = absl::Milliseconds(100);
    std::function<bool()> interrupted = [] { return false; };
    // The experiment as it is now, and what is new of it.
    std::function<void(const v1::Experiment&, const v1::ExperimentUpdate&)> changed;
    std::function<void()> lost = [] {};  // The connection broke; it is being waited for.
    std::function<void()> restored = [] {};
  };

  ExperimentFollower(Connection* connection, Options options)
      : connection_(connection), options_(std::move(options)) {}

  // OK when the experiment has ended. CANCELLED when interrupted, UNAVAILABLE when a lost
  // connection did not come back, otherwise what the server said.
  absl::Status Follow();

  // As it was seen last.
  const v1::Experiment& experiment() const { return experiment_; }

 private:
  grpc::Status ReadStream();
  bool Tick();
  bool OutOfPatience() const;

  Connection* const connection_;
  const Options options_;
  v1::Experiment experiment_;
  bool interrupted_ = false;
  std::optional<absl::Time> lost_since_;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_FOLLOWING_EXPERIMENT_FOLLOWER_H_
