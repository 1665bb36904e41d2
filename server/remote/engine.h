// An engine that schedules jobs of its own, such as Slurm or Kubernetes, as this server asks it to
// run workers.
#ifndef ATELIER_SERVER_REMOTE_ENGINE_H_
#define ATELIER_SERVER_REMOTE_ENGINE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/jobs/executor.h"

namespace atelier::remote {

// A launch by the engine's id and by the name that this server gave it, which says whose it is: ids
// come around again.
struct LaunchKey {
  std::string id;    // Without ':'.
  std::string name;  // `atelier:<server>/<job>/<attempt>`.

  // As a handle: `<id>:<name>`. INVALID_ARGUMENT if it is none.
  static absl::StatusOr<LaunchKey> Parse(absl::string_view handle);
  std::string ToHandle() const;
};

// A launch as the engine lists it.
struct ListedLaunch {
  LaunchKey key;
  // Nothing for a state that is not known. An end is what the list says of it, see AskEnd.
  std::optional<jobs::LaunchStatus> status;
  bool queued = false;         // Waits in the engine's queue; if it ran before, it was put back.
  std::string never_why = {};  // Why no waiting will make it run, in the engine's words; or empty.
};

// Thread-safe; calls wait for the engine, but not for long.
class Engine {
 public:
  virtual ~Engine() = default;

  // A launch for people: "Slurm job 12".
  virtual std::string Title(absl::string_view id) const = 0;

  // As jobs::Executor has them.
  virtual bool has_gpus() const = 0;
  virtual absl::Status CheckArguments(absl::Span<const std::string> arguments) const = 0;

  // Has a worker started some time, and answers with the engine's id. INVALID_ARGUMENT if the
  // engine would refuse it again; after any other error the launch may be there.
  virtual absl::StatusOr<std::string> Submit(const jobs::LaunchRequest& request,
                                             const std::string& name) = 0;

  // All that the engine knows of this server's launches, also of some that ended; there may be
  // others. UNAVAILABLE if it does not answer, or not sensibly: nothing is known then.
  virtual absl::StatusOr<std::vector<ListedLaunch>> List() = 0;

  // How a launch ended that is listed as ended; nothing while the engine does not answer.
  virtual std::optional<jobs::ProcessEnd> AskEnd(const LaunchKey& /*key*/,
                                                 const jobs::ProcessEnd& listed) {
    return listed;
  }

  // Ends launches at once. It is repeated for those that are still listed.
  virtual absl::Status Cancel(const std::vector<ListedLaunch>& launches) = 0;

  // Nobody asks for this launch any more; it has ended.
  virtual void Release(const LaunchKey& /*key*/) {}

  // Something may have changed: List should be called. Set once, before anything else is called.
  virtual void SetBell(std::function<void()> /*ring*/) {}
};

}  // namespace atelier::remote

#endif  // ATELIER_SERVER_REMOTE_ENGINE_H_
