// What the commands share that start an evaluation or a check. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_FOLLOW_SCORING_H_
#define ATELIER_CLIENT_COMMANDS_FOLLOW_SCORING_H_

#include <CLI/CLI.hpp>

#include "absl/status/statusor.h"
#include "atelier/v1/job.pb.h"
#include "client/calls/session.h"
#include "client/commands/follow.h"
#include "client/commands/picture_target.h"

namespace atelier::client {

struct ScoringOptions {
  bool detach = false;
  int limit = 20;
  PictureTarget target;
  FollowOptions follow;
};

// Adds --limit, -o, --force, --detach and those of following; `options` must outlive the command.
void AddScoringOptions(CLI::App* command, ScoringOptions* options);

// Follows the job unless detached, then shows its single images: as text, with their picture where
// the terminal can; for programs the job's events, the job and one GetPredictionsResponse, or as
// CSV the images alone. Writes the picture if -o is given. Returns the exit code.
absl::StatusOr<int> FollowScoring(Session& session, const v1::TrainingJob& job,
                                  const ScoringOptions& options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_FOLLOW_SCORING_H_
