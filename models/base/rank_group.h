// The processes that train one network together. Each has a rank, from 0, computes its share of
// every step's shards and all of the rest, so that all have the same weights after every step.
// Belongs to one thread.
#ifndef ATELIER_MODELS_BASE_RANK_GROUP_H_
#define ATELIER_MODELS_BASE_RANK_GROUP_H_

#include <cstddef>
#include <stdexcept>

namespace atelier::models {

// A process of the group has ended or is silent: the others cannot go on without it. One that
// takes long is not lost.
class RankLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Every rank makes the same calls with the same sizes in the same order. All of them throw
// RankLost, at the latest when one is silent for the group's time-out, and from then on always.
class RankGroup {
 public:
  virtual ~RankGroup() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // `all` has the `bytes` of each rank's `mine`, in the order of ranks.
  virtual void Gather(const void* mine, size_t bytes, void* all) = 0;

  // Of `pieces`, one of `bytes` for each rank, rank i is sent the one at i; `received` has what
  // each rank sent here, in the order of ranks.
  virtual void Exchange(const void* pieces, size_t bytes, void* received) = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_RANK_GROUP_H_
