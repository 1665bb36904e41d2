// Images of a data set side by side, as a picture. Thread-safe: a free function.
#ifndef ATELIER_SERVER_VIEWS_IMAGE_SHEET_H_
#define ATELIER_SERVER_VIEWS_IMAGE_SHEET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/data/dataset_file.h"

namespace atelier::views {

struct SheetRequest {
  // Images [begin, begin + count) of the split.
  models::SplitName split = models::SplitName::kTest;
  std::int64_t begin = 0;
  std::int64_t count = 0;
  // All rows are of this class; without one each row is of the next class.
  std::optional<std::int64_t> label = {};
  // These images in place of the first ones, each below `count`.
  std::vector<std::int64_t> indices = {};
  std::int64_t rows = 1;  // At most.
  std::int64_t columns = 1;
};

struct Sheet {
  std::string png;
  // From `begin`, row by row; -1 where there is no image.
  std::vector<std::int64_t> indices;
  std::vector<std::int64_t> row_labels;  // Empty for chosen images.
  std::int64_t zoom = 1;
};

// The first images of each class, in the order of the split, or the chosen ones. Fewer rows than
// asked for where the picture would be too large, but one at least. DATA_LOSS as
// DatasetFile::ReadImage; INTERNAL if the picture cannot be encoded.
absl::StatusOr<Sheet> DrawSheet(const models::DatasetFile& file, const SheetRequest& request);

}  // namespace atelier::views

#endif  // ATELIER_SERVER_VIEWS_IMAGE_SHEET_H_
