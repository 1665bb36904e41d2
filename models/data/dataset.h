// Labelled images, split into training and test; a data set to evaluate models on has no training
// images. Images are kept as the bytes they are. Immutable once loaded, so a shared Dataset may be
// read from any thread. DatasetFolder says which files hold one; DatasetCache keeps what was read
// once for other processes.
#ifndef ATELIER_MODELS_DATA_DATASET_H_
#define ATELIER_MODELS_DATA_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/image_shape.h"
#include "models/base/shared_array.h"
#include "models/base/stop_signal.h"
#include "models/data/stored_labels.h"
#include "models/files/sha256.h"

namespace atelier::models {

enum class SplitName { kTraining, kTest };

// One split of a data set.
struct LabeledImages {
  // N×C×H×W, 0 to 255.
  SharedBytes pixels;
  // N class indices, each below the number of class names.
  SharedLabels labels;

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

// What the headers and labels of a data set say.
struct DatasetInfo {
  ImageShape shape;
  std::vector<std::string> class_names;
  int64_t training_images = 0;
  int64_t test_images = 0;
  // How many of the training images are the data set's own validation split: the last ones. 0 where
  // it has none, and the training chooses images of its own. Fewer than training_images.
  int64_t validation_images = 0;

  // Of an image's label as it is stored (see stored_labels.h).
  int64_t label_bytes() const { return StoredLabelBytes(class_names.size()); }
  // Of all pixels and labels.
  int64_t bytes() const { return (training_images + test_images) * (shape.size() + label_bytes()); }
};

// What only all of its bytes tell.
struct DatasetSummary {
  DatasetInfo info;
  // See Dataset::checksum.
  std::string checksum;
  // See Dataset::warnings.
  std::vector<std::string> warnings;
};

// Makes Dataset::checksum of bytes that come in pieces: the training images' pixels, their labels
// as they are stored, the test images' pixels, their labels. Not thread-safe.
class DatasetDigest {
 public:
  explicit DatasetDigest(const DatasetInfo& info);
  void Update(absl::Span<const uint8_t> piece) { digest_.Update(piece.data(), piece.size()); }
  // Call once, last.
  std::string Finish() { return digest_.Finish(); }

 private:
  Sha256 digest_;
};

class Dataset {
 public:
  // Largest number of pixel bytes a split may have; more is refused before memory is allocated.
  static constexpr int64_t kMaxSplitBytes = int64_t{8} << 30;

  // Reads and checks the folder. Errors are of FailureReason kBadData and name the file and what is
  // wrong with it; kCancelled if `stop` (may be null) asks to end meanwhile.
  static absl::StatusOr<std::shared_ptr<const Dataset>> Load(const std::string& dir,
                                                             const StopSignal* stop = nullptr);
  // Reads only the images' headers and the labels: milliseconds. Errors as Load, as far as these
  // show them.
  static absl::StatusOr<DatasetInfo> ReadInfo(const std::string& dir);

  // A data set over its bytes, in the order of DatasetDigest. kBadData if they do not have the
  // summary's sizes and checksum.
  static absl::StatusOr<std::shared_ptr<const Dataset>> Create(const DatasetSummary& summary,
                                                               const SharedBytes& bytes);

  // A data set made of bytes that are there, whose last `validation_images` training images are its
  // validation split. kBadData if the sizes disagree, there is no test image or a label has no
  // class name.
  static absl::StatusOr<std::shared_ptr<const Dataset>> Create(ImageShape shape,
                                                               std::vector<std::string> class_names,
                                                               LabeledImages training,
                                                               LabeledImages test,
                                                               int64_t validation_images = 0);

  const ImageShape& shape() const { return shape_; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  int64_t classes() const { return static_cast<int64_t>(class_names_.size()); }
  const LabeledImages& split(SplitName name) const {
    return name == SplitName::kTraining ? training_ : test_;
  }
  // With those of the validation split.
  const LabeledImages& training() const { return training_; }
  const LabeledImages& test() const { return test_; }
  // See DatasetInfo.
  int64_t validation_images() const { return validation_images_; }
  // The C×H×W bytes of one image; `index` must be in range.
  absl::Span<const uint8_t> Image(SplitName name, int64_t index) const;

  // SHA-256, in lower-case hexadecimal, over shape, counts of the splits, pixels and labels as a
  // packed file has them: the same whether the source's files were gzipped or not.
  const std::string& checksum() const { return checksum_; }
  // What looks wrong in its files without making them unusable, a sentence each (see
  // DatasetWarnings); nothing of bytes that did not come from files.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  Dataset() = default;
  static absl::StatusOr<std::shared_ptr<Dataset>> Make(ImageShape shape,
                                                       std::vector<std::string> class_names,
                                                       LabeledImages training, LabeledImages test,
                                                       int64_t validation_images);

  // Constant after construction.
  ImageShape shape_;
  std::vector<std::string> class_names_;
  LabeledImages training_;
  LabeledImages test_;
  int64_t validation_images_ = 0;
  std::string checksum_;
  std::vector<std::string> warnings_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_H_
