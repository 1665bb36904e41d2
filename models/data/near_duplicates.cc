#include "models/data/near_duplicates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <tuple>
#include <utility>

namespace atelier::models {
namespace {

constexpr int kMaxBits = 3;
// Hashes that differ in at most three bits are equal in one of four parts.
constexpr int kParts = 4;
constexpr int kPartBits = 64 / kParts;
// Images of like hashes that each is compared with.
constexpr size_t kNeighbours = 32;
constexpr int64_t kMaxComparedBytes = int64_t{1} << 28;

// Pearson's, of two images that are not equal; 0 where one of them is of a single colour.
double Correlation(absl::Span<const uint8_t> a, absl::Span<const uint8_t> b) {
  uint64_t sum_a = 0;
  uint64_t sum_b = 0;
  uint64_t squares_a = 0;
  uint64_t squares_b = 0;
  uint64_t products = 0;
  // So many products of bytes fit 32 bits.
  constexpr size_t kBlock = 1 << 15;
  for (size_t first = 0; first < a.size(); first += kBlock) {
    uint32_t sums[5] = {};
    for (size_t i = first; i < std::min(first + kBlock, a.size()); ++i) {
      sums[0] += a[i];
      sums[1] += b[i];
      sums[2] += uint32_t{a[i]} * a[i];
      sums[3] += uint32_t{b[i]} * b[i];
      sums[4] += uint32_t{a[i]} * b[i];
    }
    sum_a += sums[0];
    sum_b += sums[1];
    squares_a += sums[2];
    squares_b += sums[3];
    products += sums[4];
  }
  const auto count = static_cast<double>(a.size());
  const auto about_mean = [&](uint64_t product, uint64_t one, uint64_t other) {
    return static_cast<double>(product) -
           static_cast<double>(one) * static_cast<double>(other) / count;
  };
  const double variances =
      about_mean(squares_a, sum_a, sum_a) * about_mean(squares_b, sum_b, sum_b);
  return variances <= 0 ? 0 : about_mean(products, sum_a, sum_b) / std::sqrt(variances);
}

bool Before(const NearDuplicates::Pair& a, const NearDuplicates::Pair& b) {
  return std::tie(a.earlier, a.later) < std::tie(b.earlier, b.later);
}

// Pairs of like hashes, each once, at most kMaxCandidates.
std::vector<NearDuplicates::Pair> Candidates(const std::vector<uint64_t>& hashes,
                                             NearDuplicates::Wanted wanted) {
  std::vector<NearDuplicates::Pair> pairs;
  std::vector<uint32_t> order(hashes.size());
  for (int part = 0; part < kParts; ++part) {
    // The part first, then the rest, so that like hashes are neighbours.
    const auto key = [&](uint32_t i) { return std::rotl(hashes[i], part * kPartBits); };
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
      return std::make_pair(key(a), a) < std::make_pair(key(b), b);
    });
    for (size_t i = 0; i < order.size(); ++i) {
      for (size_t k = i + 1; k < std::min(i + 1 + kNeighbours, order.size()); ++k) {
        if (pairs.size() == NearDuplicates::kMaxCandidates) break;
        const uint64_t one = key(order[i]);
        const uint64_t other = key(order[k]);
        if (one >> (64 - kPartBits) != other >> (64 - kPartBits)) break;
        if (std::popcount(one ^ other) > kMaxBits) continue;
        const NearDuplicates::Pair pair{std::min(order[i], order[k]), std::max(order[i], order[k])};
        if (wanted(pair)) pairs.push_back(pair);
      }
    }
    std::sort(pairs.begin(), pairs.end(), Before);
    const auto equal = [](const auto& a, const auto& b) { return !Before(a, b) && !Before(b, a); };
    pairs.erase(std::unique(pairs.begin(), pairs.end(), equal), pairs.end());
  }
  return pairs;
}

}  // namespace

absl::StatusOr<std::vector<NearDuplicates::Pair>> NearDuplicates::Find(Wanted wanted,
                                                                       ReadPixels read) const {
  std::vector<Pair> found;
  std::vector<uint8_t> earlier(static_cast<size_t>(shape_.size()));
  std::vector<uint8_t> later(earlier.size());
  int64_t left = kMaxComparedBytes;
  for (const Pair& pair : Candidates(hashes_, wanted)) {
    if ((left -= 2 * shape_.size()) < 0) break;
    absl::Status status = read(pair.earlier, absl::MakeSpan(earlier));
    if (status.ok()) status = read(pair.later, absl::MakeSpan(later));
    if (!status.ok()) return status;
    if (earlier != later && Correlation(earlier, later) >= kMinCorrelation) found.push_back(pair);
  }
  return found;
}

}  // namespace atelier::models
