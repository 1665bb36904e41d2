// What the commands that start a job share: options for the fields of a specification, and starting
// and following it.
#ifndef ATELIER_CLIENT_COMMANDS_START_JOB_H_
#define ATELIER_CLIENT_COMMANDS_START_JOB_H_

#include <memory>

#include "atelier/v1/training_service.pb.h"
#include "client/calls/spec_fields.h"
#include "client/commands/command_set.h"
#include "client/commands/follow.h"

namespace atelier::client {

struct StartJobOptions {
  v1::StartTrainingRequest request;
  bool detach = false;
  FollowOptions follow;
};

using SharedStartOptions = std::shared_ptr<StartJobOptions>;

// Adds the option that sets a field of options->request.spec.
void AddSpecOption(CLI::App* command, SpecField field, const SharedStartOptions& options);

// Adds the options about the job itself: --name, --request-id, --notify, --detach and those of
// following.
void AddStartOptions(CLI::App* command, const SharedStartOptions& options);

// Starts the job and follows it, unless detached.
absl::StatusOr<int> StartJob(Session& session, StartJobOptions& options);

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_COMMANDS_START_JOB_H_
