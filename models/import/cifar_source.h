// CIFAR-10 and CIFAR-100 in their binary form: data_batch_1.bin … data_batch_5.bin and
// test_batch.bin with batches.meta.txt, or train.bin and test.bin with fine_label_names.txt. A
// record is the label (for CIFAR-100 the coarse one before the fine one, which is taken) and
// 3×32×32 pixels. Images keep the order of the batches.
#ifndef ATELIER_MODELS_IMPORT_CIFAR_SOURCE_H_
#define ATELIER_MODELS_IMPORT_CIFAR_SOURCE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/base/class_label.h"
#include "models/base/stop_signal.h"
#include "models/import/listing.h"
#include "models/import/picture_source.h"
#include "models/import/source.h"

namespace atelier::models {

class CifarSource final : public Source {
 public:
  // Whether the listing has files of these names.
  static bool Knows(const Listing& listing);
  // Reads the labels. kBadData, kCancelled.
  static absl::StatusOr<std::unique_ptr<CifarSource>> Open(const Listing& listing, OpenArchive open,
                                                           const StopSignal* stop);

  absl::StatusOr<bool> Next(SourceImage* image) override;
  absl::StatusOr<Image> Decode(const SourceImage& image) const override;
  std::string NameOf(int64_t index) const override;

 private:
  struct Batch {
    uint32_t entry = 0;
    std::string name;  // Printable.
    SourceSplit split = SourceSplit::kTraining;
    // Class of each record.
    std::vector<ClassLabel> labels;
    int64_t first = 0;
  };

  explicit CifarSource(OpenArchive open) : open_(std::move(open)) {}

  absl::Status FindBatches(const Listing& listing);
  absl::Status ReadAll(const Listing& listing, const StopSignal* stop);
  absl::Status ReadLabels(ArchiveReader* archive, Batch* batch, const StopSignal* stop);
  absl::Status Label();
  size_t label_bytes() const { return fine_ ? 2 : 1; }
  const Batch& BatchOf(int64_t index) const;

  // Constant once opened.
  const OpenArchive open_;
  bool fine_ = false;  // CIFAR-100.
  // In the data set's order.
  std::vector<Batch> batches_;
  std::vector<std::string> names_;

  std::unique_ptr<ArchiveReader> archive_;
  uint32_t entry_ = 0;
  const Batch* reading_ = nullptr;
  int64_t next_ = 0;  // Of the batch that is read.
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_CIFAR_SOURCE_H_
