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

constexpr int64_t kRows = 8;
constexpr int64_t kColumns = 9;
constexpr int kMaxBits = 3;
// Hashes that differ in at most three bits are equal in one of four parts.
constexpr int kParts = 4;
constexpr int kPartBits = 64 / kParts;
// Images of like hashes that each is compared with.
constexpr size_t kNeighbours = 32;
constexpr int64_t kMaxComparedBytes = int64_t{1} << 28;

// A cell's part of a line: it has a pixel at least.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;
};

Range CellRange(int64_t cell, int64_t cells, int64_t pixels) {
  const int64_t begin = cell * pixels / cells;
  return {begin, std::max(begin + 1, (cell + 1) * pixels / cells)};
}

// The sums of each column of pixels in a row of cells, over all channels.
void SumColumns(const ImageShape& shape, const uint8_t* pixels, const Range& rows,
                std::vector<uint32_t>* sums) {
  std::fill(sums->begin(), sums->end(), 0);
  for (int64_t c = 0; c < shape.channels; ++c) {
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      const uint8_t* line = pixels + (c * shape.height + y) * shape.width;
      for (size_t x = 0; x < sums->size(); ++x) (*sums)[x] += line[x];
    }
  }
}

uint64_t HashOf(const ImageShape& shape, const uint8_t* pixels) {
  uint64_t hash = 0;
  std::vector<uint32_t> sums(static_cast<size_t>(shape.width));
  for (int64_t row = 0; row < kRows; ++row) {
    SumColumns(shape, pixels, CellRange(row, kRows, shape.height), &sums);
    uint64_t before = 0;
    for (int64_t column = 0; column < kColumns; ++column) {
      const Range columns = CellRange(column, kColumns, shape.width);
      const uint64_t sum =
          std::accumulate(sums.begin() + columns.begin, sums.begin() + columns.end, uint64_t{0});
      // Cells differ in size by a pixel: their means are compared, in 256ths of a sum of columns.
      const uint64_t mean = (sum << 8) / static_cast<uint64_t>(columns.end - columns.begin);
      if (column > 0) hash = hash << 1 | (before > mean ? 1 : 0);
      before = mean;
    }
  }
  return hash;
}

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

void NearDuplicates::Add(absl::Span<const uint8_t> image) {
  hashes_.push_back(HashOf(shape_, image.data()));
}

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
