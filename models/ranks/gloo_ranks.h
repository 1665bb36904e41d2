// A RankGroup over TCP by Gloo, the library under PyTorch's c10d. What it sends is neither
// encrypted nor authenticated: the network between ranks must belong to nobody else. Thread-safe: a
// free function.
#ifndef ATELIER_MODELS_RANKS_GLOO_RANKS_H_
#define ATELIER_MODELS_RANKS_GLOO_RANKS_H_

#include <chrono>
#include <functional>
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
  // After which a rank that says nothing is lost.
  std::chrono::milliseconds timeout = std::chrono::seconds(60);
  // Until all have come.
  std::chrono::milliseconds patience = std::chrono::seconds(60);
  // What has to be the same everywhere, such as the processor, in words.
  std::string alike;
  // How they find each other. Leaves a value for the other ranks; fetches what a rank left, if it
  // has. Both throw RankLost when there is no hope.
  std::function<void(const std::string& key, const std::string& value)> set;
  std::function<std::optional<std::string>(const std::string& key)> get;
};

// Waits for all ranks. FailureReason kRankLost if one does not come; kInvalidSpec, naming two
// ranks, where `alike` differs.
absl::StatusOr<std::unique_ptr<RankGroup>> JoinRanks(const RankOptions& options);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_RANKS_GLOO_RANKS_H_
