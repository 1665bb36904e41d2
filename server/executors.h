// The executors there are, by name. The rest of the server knows them by their interface alone.
#ifndef ATELIER_SERVER_EXECUTORS_H_
#define ATELIER_SERVER_EXECUTORS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/jobs/executor.h"
#include "server/remote/engine_observer.h"
#include "server/server_options.h"

namespace atelier::server {

// `clock` and `observer` must live as long. `log` is told what nobody else is there to hear of.
// Errors are one sentence for the operator.
absl::StatusOr<std::unique_ptr<jobs::Executor>> MakeExecutor(
    const ServerOptions& options, const Clock* clock, remote::EngineObserver* observer,
    std::function<void(const std::string&)> log);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_EXECUTORS_H_
