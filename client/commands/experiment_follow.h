// Follows an experiment and shows it, as `sweep` and `watch` do. Used by one thread.
#ifndef ATELIER_CLIENT_COMMANDS_EXPERIMENT_FOLLOW_H_
#define ATELIER_CLIENT_COMMANDS_EXPERIMENT_FOLLOW_H_

#include <optional>

#include "absl/status/statusor.h"
#include "atelier/v1/experiment_service.pb.h"
#include "client/calls/session.h"
#include "client/commands/follow.h"

namespace atelier::client {

// One table, a row per configuration, until the experiment has ended; then the finished table. As
// JSON every update is a line and the experiment the last; as CSV the finished table alone. Returns
// kDone if every run completed, else the exit code of what became of them. Ctrl-C detaches.
absl::StatusOr<int> FollowExperiment(Session& session, const v1::Experiment& experiment,
                                     const FollowOptions& options);

// Its runs in a state; in any, if none is given.
int RunCountOf(const v1::Experiment& experiment, std::optional<v1::RunState> state = std::nullopt);

// The exit code of an experiment as it is.
int ExitCodeOf(const v1::Experiment& experiment);

// How it stands, in a line: "running: 3 of 20 completed, 2 running, 15 waiting".
std::string StandingText(const v1::Experiment& experiment);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_EXPERIMENT_FOLLOW_H_
