// What is shown of an engine: the seam to the metrics.
#ifndef ATELIER_SERVER_REMOTE_ENGINE_OBSERVER_H_
#define ATELIER_SERVER_REMOTE_ENGINE_OBSERVER_H_

#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"

namespace atelier::remote {

// How many of this server's launches the engine has.
struct EngineLoad {
  std::map<std::string, int> running;  // By node.
  std::map<std::string, int> pending;  // By the engine's first word for why, else "None".

  friend bool operator==(const EngineLoad&, const EngineLoad&) = default;
};

// Thread-safe.
class EngineObserver {
 public:
  virtual ~EngineObserver() = default;
  // What the engine was asked for, as far as it has ever answered.
  virtual void Asked(const EngineLoad& load) = 0;
  // Since when it does not answer; nothing while it does.
  virtual void Silent(std::optional<absl::Time> since) = 0;
};

}  // namespace atelier::remote

#endif  // ATELIER_SERVER_REMOTE_ENGINE_OBSERVER_H_
