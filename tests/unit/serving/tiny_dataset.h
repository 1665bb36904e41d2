// A data set of a few bytes.
#ifndef ATELIER_TESTS_UNIT_SERVING_TINY_DATASET_H_
#define ATELIER_TESTS_UNIT_SERVING_TINY_DATASET_H_

#include <string>
#include <vector>

#include "tests/unit/models/temporary_folder.h"

namespace atelier::serving {

// An IDX file of bytes.
inline std::string Idx(const std::vector<char>& dimensions, const std::string& bytes) {
  std::string file = {0, 0, 8, static_cast<char>(dimensions.size())};
  for (const char extent : dimensions) file += std::string{0, 0, 0, extent};
  return file + bytes;
}

// `count` training images and one test image (it begins with "abcd") of side×side pixels; two
// classes.
inline void WriteDataset(const models::TemporaryFolder& folder, char count, char side = 2) {
  const auto images = static_cast<std::size_t>(count);
  const auto pixels = static_cast<std::size_t>(side) * static_cast<std::size_t>(side);
  folder.Write("train-images-idx3-ubyte",
               Idx({count, side, side}, std::string(images * pixels, '\7')));
  std::string labels(images, '\0');
  labels.back() = 1;
  folder.Write("train-labels-idx1-ubyte", Idx({count}, labels));
  folder.Write("t10k-images-idx3-ubyte",
               Idx({1, side, side}, "abcd" + std::string(pixels - 4, '\0')));
  folder.Write("t10k-labels-idx1-ubyte", Idx({1}, "\1"));
}

}  // namespace atelier::serving

#endif  // ATELIER_TESTS_UNIT_SERVING_TINY_DATASET_H_
