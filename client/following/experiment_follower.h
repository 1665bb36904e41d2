// Follows an experiment until it has ended, across lost connections, by StreamExperiment. Used by
// one thread; everything happens within Follow.
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

// Merges an update into the experiment: what it contains replaces the old values.
void ApplyUpdate(const v1::ExperimentUpdate& update, v1::Experiment* experiment);

class ExperimentFollower {
 public:
  struct Options {
    std::string experiment;  // `experiments/{experiment}`.
    // How long to wait after a lost connection.
    absl::Duration patience = absl::Seconds(60);
    absl::Duration tick = absl::Milliseconds(100);
    std::function<bool()> interrupted = [] { return false; };
    // Called with the experiment as it is now, and the update.
    std::function<void(const v1::Experiment&, const v1::ExperimentUpdate&)> changed;
    std::function<void()> lost = [] {};  // The connection broke; it is being waited for.
    std::function<void()> restored = [] {};
  };

  ExperimentFollower(Connection* connection, Options options)
      : connection_(connection), options_(std::move(options)) {}

  // OK when the experiment has ended. CANCELLED when interrupted, UNAVAILABLE when a lost
  // connection was not restored in time, otherwise the server's error.
  absl::Status Follow();

  // As of the last update.
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
