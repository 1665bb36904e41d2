// What the checks and statistics of a data set take from an image's pixels. Pure, so that several
// threads may take the facts of different images.
#ifndef ATELIER_MODELS_DATA_IMAGE_FACTS_H_
#define ATELIER_MODELS_DATA_IMAGE_FACTS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "models/base/image_shape.h"

namespace atelier::models {

struct ImageFacts {
  // A hash of all bytes, of 64 bits: so that no two images share one by chance. Another in each
  // process.
  uint64_t content = 0;
  // Of 8×9 cells, whether each is brighter than its right neighbour: copies at another quality,
  // brightness or size have nearly the same.
  uint64_t differences = 0;
  uint8_t darkest = 255;
  uint8_t brightest = 0;
};

// `image` is C×H×W bytes of that shape.
ImageFacts FactsOf(const ImageShape& shape, absl::Span<const uint8_t> image);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_IMAGE_FACTS_H_
