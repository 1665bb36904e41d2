// The file in which a server remembers what it had in memory: `serving.json` in its data directory,
// {"loaded": [{"model": "cnn-3", "reference": "production"}, …],
//  "unloaded": [{"model": "cnn-3", "version": 2}, …]}, version 0 being the whole model.
// Thread-safe: free functions and values.
#ifndef ATELIER_SERVER_SERVING_SERVING_STATE_H_
#define ATELIER_SERVER_SERVING_SERVING_STATE_H_

#include <cstdint>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace atelier::serving {

// In place of a version's number.
inline constexpr std::int64_t kWholeModel = 0;

struct ServingState {
  std::set<std::pair<std::string, std::string>> loaded;     // Models and references to them.
  std::set<std::pair<std::string, std::int64_t>> unloaded;  // By request.

  friend bool operator==(const ServingState&, const ServingState&) = default;
};

// Empty if there is no such file or it is damaged: what is in it only saves time.
ServingState ReadServingState(const std::string& path);
std::string ServingStateText(const ServingState& state);
// Durably and at once. INTERNAL.
absl::Status WriteServingState(const std::string& path, const std::string& text);

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_SERVING_STATE_H_
