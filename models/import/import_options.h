// How people's own pictures and arrays become a data set. Values; thread-safe.
#ifndef ATELIER_MODELS_IMPORT_IMPORT_OPTIONS_H_
#define ATELIER_MODELS_IMPORT_IMPORT_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "models/base/import_limits.h"

namespace atelier::models {

struct ImportOptions {
  // In pixels; 1 to kMaxImportSide each.
  struct Size {
    int64_t height = 0;
    int64_t width = 0;
    friend bool operator==(const Size&, const Size&) = default;
  };
  enum class Color {
    kAuto,  // Grey if every image is grey, pixel by pixel.
    kGrey,
    kRgb,
  };
  // What happens to an image of another size than the data set's.
  enum class Fit {
    kPad,      // Height to width stays; the rest is filled with the border's mean colour.
    kStretch,  // The whole size is filled.
    kCrop,     // Height to width stays; what juts out of the middle is cut off.
  };
  // The order of an array's dimensions.
  enum class Axes {
    kAuto,  // Told by the sizes; an error where these allow several orders.
    kNhw,
    kNhwc,
    kNchw,
  };

  // The images' size; absent for the most frequent one in the source.
  std::optional<Size> size;
  Color color = Color::kAuto;
  Fit fit = Fit::kPad;
  // Black becomes white: for dark strokes on paper.
  bool invert = false;
  // Where labels are numbers, the name of each, from 0 on. Where the source names the classes,
  // those names in the order wanted. Empty: the source's names, sorted (numbers by value).
  std::vector<std::string> class_names;
  // Share of the images, 0 to kMaxHeldBack, held back where the source has no such split, of every
  // class in proportion. 0 for the test split is kDefaultTestFraction, and kAllForTest is possible;
  // 0 for the validation split leaves validation to the training.
  double test_fraction = 0;
  double validation_fraction = 0;
  // Chooses the images held back.
  uint64_t seed = 0;
  Axes axes = Axes::kAuto;

  // kInvalidSpec, naming each option that is out of range.
  absl::Status Validate() const;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_IMPORT_OPTIONS_H_
