// The four IDX files of a data set, as MNIST, Fashion-MNIST, KMNIST, QMNIST and EMNIST are
// distributed, read piece by piece and checked on the way.
//
// The folder holds one file for each of *train*images*idx3-ubyte, *train*labels*idx1-ubyte,
// *t10k*|*test*images*idx3-ubyte and *t10k*|*test*labels*idx1-ubyte, each plain or gzipped (.gz);
// `idx3.ubyte`, `.idx3-ubyte` and prefixes such as emnist-letters- are fine, and idx4 files hold
// images with channels. Image files have 3 dimensions (images × height × width, one channel) or 4
// (images × channels × height × width). Labels may also be *labels*idx2-int, QMNIST's: rows of
// 32-bit integers of which the first is the class. Folders of such names are passed over.
//
// The square images of files whose names begin with emnist- are turned upright: EMNIST stores them
// transposed.
//
// Class names come from class_names.json beside the files (a JSON array of strings), are known for
// Fashion-MNIST itself (recognised by the checksum of its labels), or are the labels as numbers.
// Where no label is 0 and the smallest is 1, as in EMNIST letters, label 1 is class 0: labels are
// shifted down by one, and class names counted from there.
#ifndef ATELIER_MODELS_DATA_DATASET_FOLDER_H_
#define ATELIER_MODELS_DATA_DATASET_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/class_label.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/data/idx_reader.h"

namespace atelier::models {

// Not thread-safe. Errors are of FailureReason kBadData and name the file and what is wrong with
// it; kCancelled if `stop` (may be null) asks to end meanwhile. Memory holds the labels and about
// a megabyte of pixels, however large the files are.
class DatasetFolder {
 public:
  // Bytes an image may have.
  static constexpr int64_t kMaxImageBytes = int64_t{64} << 20;
  // Images a split may have.
  static constexpr int64_t kMaxImages = int64_t{1} << 26;

  // Takes a piece of the bytes; an error ends the reading and is its result.
  using Sink = absl::FunctionRef<absl::Status(absl::Span<const uint8_t>)>;

  // Finds the files, reads the images' headers and the labels.
  static absl::StatusOr<DatasetFolder> Open(const std::string& dir,
                                            const StopSignal* stop = nullptr);

  // The files that Open reads, class_names.json last where there is one.
  static absl::StatusOr<std::vector<std::string>> SourceFiles(const std::string& dir);

  const DatasetInfo& info() const { return info_; }

  // A sentence on what Read changes about the images; empty if it gives them as the files hold
  // them.
  std::string ChangeText() const;

  // Reads the pixels. The sink gets those of the training images, their labels, and then the same
  // of the test images. Call once.
  absl::StatusOr<DatasetSummary> Read(Sink sink, const StopSignal* stop = nullptr);

 private:
  struct Split {
    std::unique_ptr<IdxReader> images;
    ImageShape shape;
    bool transposed = false;
    std::vector<ClassLabel> labels;
  };

  static absl::StatusOr<Split> OpenSplit(const std::string& images_path,
                                         const std::string& labels_path, const StopSignal* stop);

  DatasetFolder(DatasetInfo info, Split training, Split test)
      : info_(std::move(info)), training_(std::move(training)), test_(std::move(test)) {}

  DatasetInfo info_;
  Split training_;
  Split test_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_FOLDER_H_
