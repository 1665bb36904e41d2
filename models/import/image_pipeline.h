// Decodes a source's images on several threads and writes each to its place. While some threads
// decode one batch, one reads the next; memory holds two batches, whatever the source's size. The
// result does not depend on the number of threads.
#ifndef ATELIER_MODELS_IMPORT_IMAGE_PIPELINE_H_
#define ATELIER_MODELS_IMPORT_IMAGE_PIPELINE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "models/base/image_shape.h"
#include "models/import/import_options.h"
#include "models/import/importer.h"
#include "models/import/output_file.h"
#include "models/import/source.h"
#include "models/import/split_plan.h"

namespace atelier::models {

// Pixels in the file before it is packed: images side by side, then room for the labels of those
// that train and validate, then the images that test.
struct PlacedImages {
  // Of the images as they are stored.
  ImageShape shape;
  // 1 at the places whose image is there.
  std::vector<uint8_t> present;
  // Every image of three channels is grey all the same.
  bool all_grey = true;

  int64_t OffsetOf(int64_t place, const SplitPlan& plan) const {
    const int64_t before_test = plan.training + plan.validation;
    return place * shape.size() + (place < before_test ? 0 : before_test * plan.label_bytes);
  }
};

class ImagePipeline {
 public:
  // All of them must outlive it.
  ImagePipeline(const ImportOptions& options, const ImportRun& run, const SplitPlan& plan,
                Source* source, const OutputFile& file, UnreadableFiles* unreadable)
      : options_(options),
        run_(run),
        plan_(plan),
        source_(source),
        file_(file),
        unreadable_(unreadable) {}

  // Writes every image that can be read, in `shape`. kBadData if too many cannot, kCancelled,
  // kInternal. Call once.
  absl::StatusOr<PlacedImages> Run(const ImageShape& shape);

 private:
  struct Item {
    SourceImage image;
    // kInvalidArgument: this image is left out; others end the import.
    absl::Status status;
    bool grey = true;
  };
  struct Batch {
    std::vector<Item> items;
    absl::Status status;
  };

  Batch ReadBatch();
  // Writes what lies side by side in the file at once.
  void Process(absl::Span<Item> items) const;
  absl::StatusOr<std::vector<uint8_t>> Fit(Item* item) const;
  void BeginSync(const Batch& batch) const;
  absl::Status Collect(const Batch& batch);

  // Constant after construction.
  const ImportOptions& options_;
  const ImportRun& run_;
  const SplitPlan& plan_;
  Source* const source_;
  const OutputFile& file_;
  UnreadableFiles* const unreadable_;

  PlacedImages placed_;
  // Images of the source, with those that are unreadable already.
  int64_t all_ = 0;
  int64_t done_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_IMAGE_PIPELINE_H_
