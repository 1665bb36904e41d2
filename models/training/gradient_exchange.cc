#include "models/training/gradient_exchange.h"

#include <algorithm>
#include <cstring>

#include "models/kernels/optimizer_kernels.h"

namespace atelier::models {
namespace {

// Kernels add whole vectors.
constexpr int64_t kPanel = 16;

int64_t SliceOf(int64_t numbers, int64_t ranks) {
  return ((numbers + ranks - 1) / ranks + kPanel - 1) / kPanel * kPanel;
}

}  // namespace

GradientExchange::GradientExchange(RankGroup* ranks, const TrainingNetwork& network, int64_t shards)
    : ranks_(ranks),
      network_(network),
      slice_(SliceOf(network.parameters().size(), ranks->size())),
      sent_(MostOf(shards) * ranks->size() * slice_),
      received_(MostOf(shards) * ranks->size() * slice_),
      own_(slice_),
      sum_(ranks->size() * slice_) {}

GradientExchange::Share GradientExchange::ShareOf(int64_t rank, int64_t shards) const {
  return {shards * rank / ranks_->size(), shards * (rank + 1) / ranks_->size()};
}

std::vector<int64_t> GradientExchange::PlacesOf(int64_t shards) const {
  std::vector<int64_t> places;
  for (int64_t rank = 0; rank < ranks_->size(); ++rank) {
    const Share share = ShareOf(rank, shards);
    for (int64_t i = share.begin; i < share.end; ++i) {
      places.push_back(rank * MostOf(shards) + i - share.begin);
    }
  }
  return places;
}

const float* GradientExchange::Run(int64_t shards, absl::Span<PassResult> results) {
  const std::vector<int64_t> places = PlacesOf(shards);
  ShareResults(places, results);
  const int64_t each = MostOf(shards);
  const int64_t size = network_.parameters().size();
  const Share share = ShareOf(shards);
  for (int64_t rank = 0; rank < ranks_->size(); ++rank) {
    const int64_t begin = std::min(size, rank * slice_);
    const int64_t count = std::min(size, begin + slice_) - begin;
    for (int64_t i = share.begin; i < share.end; ++i) {
      std::copy_n(network_.shard(i).gradients() + begin, count,
                  sent_.data() + (rank * each + i - share.begin) * slice_);
    }
  }
  ranks_->Exchange(sent_.data(), static_cast<size_t>(each * slice_) * sizeof(float),
                   received_.data());
  std::vector<const float*> gradients;
  for (const int64_t place : places) {
    gradients.push_back(received_.data() + place * slice_);
  }
  SumGradients(gradients, 0, slice_, own_.data());
  ranks_->Gather(own_.data(), static_cast<size_t>(slice_) * sizeof(float), sum_.data());
  return sum_.data();
}

void GradientExchange::ShareResults(absl::Span<const int64_t> places,
                                    absl::Span<PassResult> results) {
  const auto shards = static_cast<int64_t>(places.size());
  const int64_t each = MostOf(shards);
  const size_t statistics = network_.shard(0).statistics().size() * sizeof(float);
  const size_t record = sizeof(PassResult) + statistics;
  const Share share = ShareOf(shards);
  results_.resize(static_cast<size_t>(each) * record);
  all_results_.resize(results_.size() * static_cast<size_t>(ranks_->size()));
  for (int64_t i = share.begin; i < share.end; ++i) {
    char* const at = results_.data() + static_cast<size_t>(i - share.begin) * record;
    std::memcpy(at, &results[static_cast<size_t>(i)], sizeof(PassResult));
    std::memcpy(at + sizeof(PassResult), network_.shard(i).statistics().data(), statistics);
  }
  ranks_->Gather(results_.data(), results_.size(), all_results_.data());
  for (int64_t i = 0; i < shards; ++i) {
    const char* const at =
        all_results_.data() + static_cast<size_t>(places[static_cast<size_t>(i)]) * record;
    std::memcpy(&results[static_cast<size_t>(i)], at, sizeof(PassResult));
    std::memcpy(network_.shard(i).statistics().data(), at + sizeof(PassResult), statistics);
  }
}

}  // namespace atelier::models
