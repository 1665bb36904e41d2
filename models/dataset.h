// Labelled images, split into training and test: what the four IDX files of a folder hold, as
// MNIST, Fashion-MNIST, KMNIST and EMNIST are distributed. Images are kept as the bytes they are.
// Immutable once loaded, so a shared Dataset may be read from any thread. DatasetCache keeps what
// was read once for other processes.
//
// The folder holds one file for each of *train*images*idx3-ubyte, *train*labels*idx1-ubyte,
// *t10k*|*test*images*idx3-ubyte and *t10k*|*test*labels*idx1-ubyte, each plain or gzipped (.gz);
// `idx3.ubyte`, `.idx3-ubyte` and prefixes such as emnist-letters- are fine, and idx4 files hold
// images with channels. IDX data has 3 dimensions (images × height × width, one channel) or 4
// (images × channels × height × width).
//
// Class names come from class_names.json beside the files (a JSON array of strings), are known for
// Fashion-MNIST itself (recognised by the checksum of its labels), or are the labels as numbers.
// Where no label is 0 and the smallest is 1, as in EMNIST letters, label 1 is class 0: labels are
// shifted down by one, and class names counted from there.
#ifndef ATELIER_MODELS_DATASET_H_
#define ATELIER_MODELS_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/architecture.h"
#include "models/shared_bytes.h"
#include "models/stop_signal.h"

namespace atelier::models {

enum class SplitName { kTraining, kTest };

// One split of a data set.
struct LabeledImages {
  // N×C×H×W, 0 to 255.
  SharedBytes pixels;
  // N class indices, each below the number of class names.
  SharedBytes labels;

  int64_t size() const { return static_cast<int64_t>(labels.size()); }
};

// What the headers and labels of a data set say.
struct DatasetInfo {
  ImageShape shape;
  std::vector<std::string> class_names;
  int64_t training_images = 0;
  int64_t test_images = 0;
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

  // The files that Load reads, class_names.json last where there is one. Errors as Load.
  static absl::StatusOr<std::vector<std::string>> SourceFiles(const std::string& dir);

  // A data set made of bytes that are there. kBadData if the sizes disagree or a label has no class
  // name.
  static absl::StatusOr<std::shared_ptr<const Dataset>> Create(ImageShape shape,
                                                               std::vector<std::string> class_names,
                                                               LabeledImages training,
                                                               LabeledImages test);

  const ImageShape& shape() const { return shape_; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  int64_t classes() const { return static_cast<int64_t>(class_names_.size()); }
  const LabeledImages& split(SplitName name) const {
    return name == SplitName::kTraining ? training_ : test_;
  }
  const LabeledImages& training() const { return training_; }
  const LabeledImages& test() const { return test_; }
  // The C×H×W bytes of one image; `index` must be in range.
  absl::Span<const uint8_t> Image(SplitName name, int64_t index) const;

  // SHA-256, in lower-case hexadecimal, over shape, counts, pixels and labels as they are in
  // memory: the same whether the files were gzipped or not.
  const std::string& checksum() const { return checksum_; }

 private:
  Dataset() = default;

  // Constant after construction.
  ImageShape shape_;
  std::vector<std::string> class_names_;
  LabeledImages training_;
  LabeledImages test_;
  std::string checksum_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATASET_H_
