// A RankGroup over TCP by Gloo, the library under PyTorch's c10d. What it sends is neither
// encrypted nor authenticated: the network between ranks must belong to nobody else. The process
// has to ignore SIGPIPE. Thread-safe: a free function.
#ifndef ATELIER_MODELS_RANKS_GLOO_RANKS_H_
#define ATELIER_MODELS_RANKS_GLOO_RANKS_H_

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "models/base/rank_group.h"

namespace atelier::models {

struct RankOptions {
  int rank = 0;
  int size = 1;
  // Where the other ranks reach this one: an address of this machine, the only one that is listened
  // on.
  std::string address;
  // After which a rank that says nothing is lost. A thread of its own speaks for it all the time.
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
  // Until all have come; 0 for as long as `share` has hope.
  std::chrono::milliseconds patience = std::chrono::seconds(60);
  // What has to be the same everywhere, such as the processor, in words.
  std::string alike;
  // How they find each other: leaves this rank's values for the others, all of them every time, and
  // fetches the one with the key `wanted`, if it has been left. Throws RankLost when there is no
  // hope.
  std::function<std::optional<std::string>(const std::map<std::string, std::string>& mine,
                                           const std::string& wanted)>
      share;
};

// Waits for all ranks, and connects them once all are there. FailureReason kRankLost if one does
// not come; kInvalidSpec, naming two ranks, where `alike` differs.
absl::StatusOr<std::unique_ptr<RankGroup>> JoinRanks(const RankOptions& options);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_RANKS_GLOO_RANKS_H_
