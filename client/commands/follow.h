// Follows a job and shows it, as `train`, `watch` and `stop --wait` do. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_FOLLOW_H_
#define ATELIER_CLIENT_COMMANDS_FOLLOW_H_

#include <CLI/CLI.hpp>
#include <cstdint>

#include "absl/status/statusor.h"
#include "atelier/v1/job.pb.h"
#include "client/calls/session.h"

namespace atelier::client {

struct FollowOptions {
  std::int64_t after_number = 0;
  // Seconds that a lost connection is waited for.
  double patience = 60;
};

// Adds the options that all three share.
void AddFollowOptions(CLI::App* command, FollowOptions* options);

// Shows the job's events until it has ended, then what came out; returns the exit code of the job's
// state. Ctrl-C detaches: the job goes on, and the exit code is that of an interruption.
absl::StatusOr<int> FollowJob(Session& session, const v1::TrainingJob& job,
                              const FollowOptions& options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_FOLLOW_H_
