// NumPy arrays in an archive: a .npz file, or .npy files packed together. Which array is which its
// name tells: `images`, `x`, `data` or `imgs` and `labels`, `y`, `targets` or `label`, each with
// the split's name before or behind it or alone (train_images, y_test); or arr_0 and arr_1.
//
// Images are N×H×W, N×H×W×C or N×C×H×W of 1 or 3 channels, integers 0 to 255, booleans, or floats
// in [0,1] or [0,255]. Labels are N or N×1 whole numbers from 0 on, or from 1 on.
#ifndef ATELIER_MODELS_IMPORT_ARRAY_SOURCE_H_
#define ATELIER_MODELS_IMPORT_ARRAY_SOURCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/base/stop_signal.h"
#include "models/import/array_reader.h"
#include "models/import/listing.h"
#include "models/import/npy.h"
#include "models/import/picture_source.h"
#include "models/import/source.h"

namespace atelier::models {

class ArraySource final : public Source {
 public:
  struct Options {
    ImportOptions::Axes axes = ImportOptions::Axes::kAuto;
    // Where an array in Fortran's order is unpacked meanwhile.
    std::string scratch;
    // Bytes of what is unpacked.
    int64_t max_bytes = 0;
  };

  // Reads the arrays' headers and the labels, and the images as well where these are floats or wide
  // integers, to know their range. kBadData, kInvalidSpec where the axes do not fit, kCancelled.
  static absl::StatusOr<std::unique_ptr<ArraySource>> Open(const Listing& listing, OpenArchive open,
                                                           const Options& options,
                                                           const StopSignal* stop);

  absl::StatusOr<bool> Next(SourceImage* image) override;
  absl::StatusOr<Image> Decode(const SourceImage& image) const override;
  std::string NameOf(int64_t index) const override;

 private:
  enum class Role { kImages, kLabels };
  struct Array {
    uint32_t entry = 0;
    std::string name;  // Printable.
    Role role = Role::kImages;
    SourceSplit split = SourceSplit::kTraining;
    NpyHeader header;
    // Of images: the first one's index.
    int64_t first = 0;
    // Of labels.
    std::vector<int64_t> numbers;
  };
  // Where an array's name is understood.
  struct Meaning {
    Role role;
    std::optional<SourceSplit> split;
  };

  ArraySource(OpenArchive open, Options options) : open_(std::move(open)), options_(options) {}

  static std::optional<Meaning> MeaningOf(absl::string_view path);
  absl::Status FindArrays(const Listing& listing);
  absl::Status ReadArrays(const StopSignal* stop);
  absl::Status ReadLabels(ArchiveReader* archive, Array* array);
  absl::Status FindRange(ArchiveReader* archive, const Array& array, const StopSignal* stop);
  absl::Status PairUp();
  absl::Status FindAxes();
  absl::Status FindScale();
  absl::Status NumberLabels();
  Array* Find(Role role, SourceSplit split);
  const Array& ArrayOf(int64_t index) const;

  // Constant once opened.
  const OpenArchive open_;
  const Options options_;
  std::vector<Array> arrays_;
  ImportOptions::Axes axes_ = ImportOptions::Axes::kNhw;
  ImageShape shape_;
  NumberRange range_;
  double scale_ = 1;

  std::unique_ptr<ArchiveReader> archive_;
  std::unique_ptr<ArrayReader> reader_;
  uint32_t entry_ = 0;
  const Array* reading_ = nullptr;
  int64_t next_ = 0;  // Image of the array that is read.
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_ARRAY_SOURCE_H_
