// Follows a job and shows it, as `train`, `watch` and `stop --wait` do. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_FOLLOW_H_
#define ATELIER_CLIENT_COMMANDS_FOLLOW_H_

#include <CLI/CLI.hpp>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atelier/v1/job.pb.h"
#include "client/calls/session.h"

namespace atelier::client {

struct FollowOptions {
  std::int64_t after_number = 0;
  // How long to wait for the server after the connection was lost.
  absl::Duration patience = absl::Seconds(60);
  // Prints nothing but notices about the connection, and how a job ended that is not completed.
  bool quiet = false;
};

// Adds the options that these commands share.
void AddFollowOptions(CLI::App* command, FollowOptions* options);

// Shows the job's events until it has ended, then its result; returns the exit code of the job's
// state. Ctrl-C detaches: the job continues, and the exit code is that of an interruption. `ended`,
// if not null, becomes the job once it has ended.
absl::StatusOr<int> FollowJob(Session& session, const v1::TrainingJob& job,
                              const FollowOptions& options, v1::TrainingJob* ended = nullptr);

// Says of a job that was started how to follow it; for programs its name or all of it.
void PrintStarted(Session& session, const v1::TrainingJob& job);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_FOLLOW_H_
