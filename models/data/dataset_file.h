// A whole data set in one file: what DatasetFolder::Read tells, then a footer that says how to
// understand it. Read from by piece, or mapped to be shared with other processes. Who maps it runs
// into SIGBUS where the file is cut off meanwhile; who reads is told.
//
// The file is pixels and labels of the training and of the test split, the footer as JSON, and one
// line of fixed length: the magic word, the footer's SHA-256 and its length. Labels are bytes, or
// two bytes in the files of more than 256 classes (see stored_labels.h), which have a magic word of
// their own.
#ifndef ATELIER_MODELS_DATA_DATASET_FILE_H_
#define ATELIER_MODELS_DATA_DATASET_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/class_label.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/data/dataset_folder.h"
#include "models/files/regular_file.h"

namespace atelier::models {

// Thread-safe once opened.
class DatasetFile {
 public:
  // Names the format; another version of it is another word. The second is that of labels of two
  // bytes.
  static constexpr absl::string_view kMagic = "atelier-dataset-2";
  static constexpr absl::string_view kWideMagic = "atelier-dataset-3";

  // Writes what the folder holds to an empty file. Errors as DatasetFolder::Read; UNAVAILABLE where
  // the writing fails.
  static absl::Status Write(int descriptor, const std::string& path, DatasetFolder* folder,
                            const StopSignal* stop);

  // Makes a file of one that holds the bytes of `summary`, in the order of DatasetDigest, from its
  // beginning on: cuts off what comes after them and appends the footer. UNAVAILABLE.
  static absl::Status Seal(int descriptor, const std::string& path, const DatasetSummary& summary);

  // Opens a file by its footer. NOT_FOUND if it is not there, DATA_LOSS if it is not what was
  // written.
  static absl::StatusOr<DatasetFile> Open(const std::string& path);

  const DatasetSummary& summary() const { return summary_; }

  // Reads all of it: DATA_LOSS if its bytes do not have their checksum, kCancelled.
  absl::Status Verify(const StopSignal* stop) const;

  // All of it, mapped into memory. DATA_LOSS as Verify.
  absl::StatusOr<std::shared_ptr<const Dataset>> Map() const;

  // Pixels and label of an image; `index` must be in range. DATA_LOSS if the file became shorter.
  struct Image {
    std::vector<uint8_t> pixels;
    ClassLabel label = 0;
  };
  absl::StatusOr<Image> ReadImage(SplitName split, int64_t index) const;
  // The pixels of `count` images from `index` on, which must be in range. DATA_LOSS as ReadImage.
  absl::StatusOr<std::vector<uint8_t>> ReadPixels(SplitName split, int64_t index,
                                                  int64_t count) const;
  // The labels of a split. DATA_LOSS as ReadImage.
  absl::StatusOr<std::vector<ClassLabel>> ReadLabels(SplitName split) const;

 private:
  DatasetFile(std::string path, RegularFile file)
      : path_(std::move(path)), file_(std::move(file)) {}

  absl::Status ReadFooter();
  // Where the pixels of a split begin, and its labels.
  int64_t PixelsAt(SplitName split) const;
  int64_t LabelsAt(SplitName split) const;
  absl::StatusOr<std::vector<ClassLabel>> ReadSomeLabels(SplitName split, int64_t index,
                                                         int64_t count) const;
  absl::Status Damaged(absl::string_view what) const;

  std::string path_;
  RegularFile file_;
  DatasetSummary summary_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_FILE_H_
