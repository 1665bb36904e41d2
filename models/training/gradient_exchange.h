// A step's shards where ranks share them: each runs some, and all then have every shard's results
// and the sum of the gradients, added in the order of the shards as one process adds them, so the
// weights are the same bits for any number of ranks. A rank adds the gradients of one slice of the
// parameters, which the others send it, and sends them the sum: less is sent than if every rank
// had the gradients of all shards. Private to models/. Belongs to one thread.
#ifndef ATELIER_MODELS_TRAINING_GRADIENT_EXCHANGE_H_
#define ATELIER_MODELS_TRAINING_GRADIENT_EXCHANGE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "models/base/float_buffer.h"
#include "models/base/rank_group.h"
#include "models/compute/training_network.h"
#include "models/network/shard_network.h"

namespace atelier::models {

class GradientExchange {
 public:
  // For steps of up to `shards` shards. What is given must outlive it. Throws std::bad_alloc.
  GradientExchange(RankGroup* ranks, const TrainingNetwork& network, int64_t shards);

  // Those that this rank runs of a step's `shards`: from begin to before end; may be none.
  struct Share {
    int64_t begin;
    int64_t end;
  };
  Share ShareOf(int64_t shards) const { return ShareOf(ranks_->rank(), shards); }

  // Fills in the results and the statistics of the shards that other ranks ran, and answers with
  // the sum of all gradients, which is valid until the next call. Throws RankLost.
  const float* Run(int64_t shards, absl::Span<PassResult> results);

 private:
  // Those of any rank: none has more than one shard more than another.
  Share ShareOf(int64_t rank, int64_t shards) const;
  // Most shards of a rank.
  int64_t MostOf(int64_t shards) const { return (shards + ranks_->size() - 1) / ranks_->size(); }
  // Where each shard stands among places for as many of every rank.
  std::vector<int64_t> PlacesOf(int64_t shards) const;
  void ShareResults(absl::Span<const int64_t> places, absl::Span<PassResult> results);

  RankGroup* const ranks_;
  const TrainingNetwork& network_;
  const int64_t slice_;  // Numbers of a slice.
  FloatBuffer sent_;
  FloatBuffer received_;
  FloatBuffer own_;  // The sum of this rank's slice.
  FloatBuffer sum_;
  std::vector<char> results_;
  std::vector<char> all_results_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TRAINING_GRADIENT_EXCHANGE_H_
