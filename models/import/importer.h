// Turns a file that somebody brings into a packed data set (models/data/dataset_file.h), which
// workers map. What it is, its content tells; its name only helps:
//
//   .zip, .tar, .tar.gz   pictures in a folder per class, the four IDX files, NumPy arrays, CIFAR's
//                         binary files, or pictures listed in a CSV file
//   .npz                  NumPy arrays
//   .csv                  a row of pixels per image
//
// docs/datasets.md says what each may look like. The file is read twice: first names, labels and
// sizes, then the pixels, which go straight into the packed file; memory holds labels and names,
// never the images. The result does not depend on the number of threads.
#ifndef ATELIER_MODELS_IMPORT_IMPORTER_H_
#define ATELIER_MODELS_IMPORT_IMPORTER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/base/image_shape.h"
#include "models/base/stop_signal.h"
#include "models/import/import_options.h"

namespace atelier::models {

// In images.
struct ImportProgress {
  int64_t done = 0;
  // 0: not known yet.
  int64_t total = 0;
};

// A file of the source that is not in the data set though it should be.
struct UnreadableFile {
  // Its path in the source, printable: what is not UTF-8 is escaped.
  std::string name;
  std::string reason;
};

// One split of the new data set.
struct ImportedSplit {
  int64_t images = 0;
  // Of each class.
  std::vector<int64_t> class_counts;
};

struct ImportReport {
  // Files in `unreadable`; what comes after them is only counted.
  static constexpr size_t kMaxUnreadable = 100;

  // A phrase: "a folder per class, PNG".
  std::string format;
  ImageShape shape;
  std::vector<std::string> class_names;
  // Without the images of `validation`.
  ImportedSplit training;
  // No images where the data set leaves validation to the training.
  ImportedSplit validation;
  ImportedSplit test;
  // Of the training images, by channel, of pixels in [0,1].
  std::vector<double> mean;
  std::vector<double> standard_deviation;
  // Sentences.
  std::vector<std::string> warnings;
  std::vector<UnreadableFile> unreadable;
  int64_t unreadable_count = 0;
  // Dataset::checksum of the result.
  std::string checksum;
};

// What an import is given beside its source and its options.
struct ImportRun {
  // Threads that decode, at least 1.
  int64_t threads = 1;
  // Bytes that the packed file, and what is unpacked beside it meanwhile, may have each.
  int64_t max_bytes = int64_t{16} << 30;
  // May be null; must outlive the import.
  const StopSignal* stop = nullptr;
  // Called now and then by the calling thread; each may be empty.
  std::function<void(const ImportProgress&)> progress;
  // A sentence for the log.
  std::function<void(absl::string_view)> log;
};

// Imports the file at `source`; `source_name` is the name that its owner gave it. Writes
// `output`, which must not exist, syncs it, and uses names that begin with it for what is unpacked
// meanwhile; after an error nothing of it is left. kBadData with a sentence that says what is wrong
// with the source and what would be right; kInvalidSpec where the options do not fit it;
// kCancelled; kInternal where files cannot be written.
absl::StatusOr<ImportReport> ImportDataset(const std::string& source,
                                           const std::string& source_name,
                                           const ImportOptions& options, const std::string& output,
                                           const ImportRun& run);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_IMPORTER_H_
