// The executors there are, by name. The rest of the server knows them by their interface alone.
#ifndef ATELIER_SERVER_EXECUTORS_H_
#define ATELIER_SERVER_EXECUTORS_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/jobs/executor.h"
#include "server/server_options.h"

namespace atelier::server {

// Errors are one sentence for the operator.
absl::StatusOr<std::unique_ptr<jobs::Executor>> MakeExecutor(const ServerOptions& options);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_EXECUTORS_H_
