// Images that are nearly equal: copies at another quality, brightness or size. Candidates are found
// by ImageFacts::differences, those whose hashes differ in at most three bits are compared pixel by
// pixel. Not thread-safe.
//
// The search is bounded, in memory (12 bytes an image, and 8 a pair to be compared, of which there
// are at most kMaxCandidates) and in time: where many images have like hashes, only neighbours in
// their order are compared, and comparisons end after so many bytes. So what it finds is there, and
// it may miss some.
#ifndef ATELIER_MODELS_DATA_NEAR_DUPLICATES_H_
#define ATELIER_MODELS_DATA_NEAR_DUPLICATES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/image_shape.h"

namespace atelier::models {

class NearDuplicates {
 public:
  // Two images, counted in the order of Add.
  struct Pair {
    uint32_t earlier = 0;
    uint32_t later = 0;
  };
  // Whether a pair is of interest.
  using Wanted = absl::FunctionRef<bool(const Pair&)>;
  // Reads the pixels of an image.
  using ReadPixels = absl::FunctionRef<absl::Status(uint32_t image, absl::Span<uint8_t> pixels)>;

  // Correlation of their pixels from which on two images are nearly equal.
  static constexpr double kMinCorrelation = 0.99;
  // Wanted pairs of like hashes after which no more are looked for.
  static constexpr size_t kMaxCandidates = size_t{1} << 22;

  explicit NearDuplicates(const ImageShape& shape) : shape_(shape) {}

  // The next image, by its ImageFacts::differences.
  void Add(uint64_t differences) { hashes_.push_back(differences); }
  // Wanted pairs that are nearly equal but not equal, each once, by `earlier` and `later`. The
  // statuses of `read` end it.
  absl::StatusOr<std::vector<Pair>> Find(Wanted wanted, ReadPixels read) const;

 private:
  const ImageShape shape_;
  std::vector<uint64_t> hashes_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_NEAR_DUPLICATES_H_
