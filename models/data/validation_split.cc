#include "models/data/validation_split.h"

#include <algorithm>
#include <numeric>

#include "models/base/random.h"

namespace atelier::models {

std::vector<int64_t> CountByClass(const LabeledImages& images, absl::Span<const int32_t> indices,
                                  int64_t classes) {
  std::vector<int64_t> counts(static_cast<size_t>(classes));
  for (const int32_t index : indices) ++counts[images.labels[static_cast<size_t>(index)]];
  return counts;
}

std::vector<int64_t> HeldBackByClass(const std::vector<int64_t>& counts, int64_t held_back) {
  const int64_t all = std::accumulate(counts.begin(), counts.end(), int64_t{0});
  std::vector<int64_t> given(counts.size());
  std::vector<size_t> order(counts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return counts[a] > counts[b]; });
  for (const size_t i : order) {
    if (held_back > 0 && counts[i] > 1) ++given[i], --held_back;
  }
  const int64_t total = held_back + std::accumulate(given.begin(), given.end(), int64_t{0});
  // One by one to the class that has least of what is due to it.
  const auto lacks = [&](size_t i) { return counts[i] * total - given[i] * all; };
  const auto may_give = [&](size_t i, int64_t keeps) { return given[i] + keeps < counts[i]; };
  for (; held_back > 0; --held_back) {
    size_t next = counts.size();
    for (const int64_t keeps : {1, 0}) {
      for (size_t i = 0; i < counts.size(); ++i) {
        if (!may_give(i, keeps)) continue;
        if (next == counts.size() || lacks(i) > lacks(next)) next = i;
      }
      if (next < counts.size()) break;
    }
    ++given[next];
  }
  return given;
}

ValidationSplit SplitByClass(const LabeledImages& images, int64_t classes, int64_t held_back,
                             uint64_t seed) {
  std::vector<int32_t> order(static_cast<size_t>(images.size()));
  std::iota(order.begin(), order.end(), 0);
  std::vector<int64_t> wanted = HeldBackByClass(CountByClass(images, order, classes), held_back);
  RandomStream random(seed, RandomPurpose::kSplit);
  Shuffle(order, random);
  ValidationSplit split;
  for (const int32_t index : order) {
    int64_t& left = wanted[images.labels[static_cast<size_t>(index)]];
    (left > 0 ? split.validation : split.training).push_back(index);
    left -= left > 0;
  }
  return split;
}

ValidationSplit SplitOf(const Dataset& dataset, int64_t held_back, uint64_t seed) {
  const int64_t own = dataset.validation_images();
  if (own == 0) return SplitByClass(dataset.training(), dataset.classes(), held_back, seed);
  ValidationSplit split;
  split.training.resize(static_cast<size_t>(dataset.training().size() - own));
  split.validation.resize(static_cast<size_t>(own));
  std::iota(split.training.begin(), split.training.end(), 0);
  std::iota(split.validation.begin(), split.validation.end(),
            static_cast<int32_t>(split.training.size()));
  return split;
}

}  // namespace atelier::models
