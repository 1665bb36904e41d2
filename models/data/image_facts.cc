#include "models/data/image_facts.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

#include "absl/hash/hash.h"

namespace atelier::models {
namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kColumns = 9;

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

uint64_t DifferencesOf(const ImageShape& shape, const uint8_t* pixels) {
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

}  // namespace

ImageFacts FactsOf(const ImageShape& shape, absl::Span<const uint8_t> image) {
  ImageFacts facts;
  facts.content = absl::HashOf(image);
  facts.differences = DifferencesOf(shape, image.data());
  for (const uint8_t pixel : image) {
    facts.darkest = std::min(facts.darkest, pixel);
    facts.brightest = std::max(facts.brightest, pixel);
  }
  return facts;
}

}  // namespace atelier::models
