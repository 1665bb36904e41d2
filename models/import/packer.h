// Makes a packed data set of the images that an import placed in its file: closes the places of
// images that could not be read, drops the colours of a data set that is grey, puts the labels in,
// and takes the digest, the statistics and the checks on the way. Reads the file once, in place and
// in batches: while one thread takes the digest of a batch, the others read the next and look at
// its images. The result does not depend on the number of threads.
#ifndef ATELIER_MODELS_IMPORT_PACKER_H_
#define ATELIER_MODELS_IMPORT_PACKER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/base/class_label.h"
#include "models/base/stop_signal.h"
#include "models/base/thread_team.h"
#include "models/data/dataset.h"
#include "models/data/dataset_checks.h"
#include "models/data/dataset_statistics.h"
#include "models/data/image_facts.h"
#include "models/import/image_pipeline.h"
#include "models/import/importer.h"
#include "models/import/output_file.h"
#include "models/import/split_plan.h"

namespace atelier::models {

class Packer {
 public:
  // All of them must outlive it. `make_grey` keeps the first of three equal channels.
  Packer(const SplitPlan& plan, const PlacedImages& placed, std::vector<std::string> class_names,
         bool make_grey, const OutputFile& file, int64_t threads, const StopSignal* stop);

  // Packs the file, whose footer carries `warnings` and what the checks found. The report lacks
  // format and unreadable files. kBadData if a split has no images left; kCancelled;
  // kInternal. Call once.
  absl::StatusOr<ImportReport> Pack(std::vector<std::string> warnings);

 private:
  absl::Status CheckLeft() const;
  // Packs the places from `first` to `end` of a split, then their labels.
  absl::Status PackSplit(SplitName split, int64_t first, int64_t end);
  // Reads a batch of places and looks at its images, on all threads; flushes the batch before.
  absl::Status ReadBatch(int64_t first, int64_t count);
  // Some places of the batch from `batch` on. Thread-safe for different places.
  absl::Status ReadPiece(int64_t batch, int64_t first, int64_t count, PixelStatistics* sums);
  // Takes the images of the batch in order and makes their bytes what is to be flushed.
  void TakeBatch(SplitName split, int64_t first, int64_t count);
  // Takes what is packed into the digest and, unless it lies in its place already, writes it.
  absl::Status Flush(bool write);
  ImportReport Report() const;

  // Constant after construction.
  const SplitPlan& plan_;
  const PlacedImages& placed_;
  const OutputFile& file_;
  const StopSignal* const stop_;
  DatasetInfo info_;
  const bool moves_;  // Pixels do not lie yet where they belong.

  DatasetDigest digest_;
  DatasetChecks checks_;
  PixelStatistics statistics_;
  ThreadTeam team_;
  std::vector<uint8_t> stored_;     // Of a batch.
  std::vector<ImageFacts> facts_;   // Of its places.
  std::vector<ClassLabel> labels_;  // Of the split so far.
  std::vector<uint8_t> packed_;     // Its first unflushed_ bytes belong at written_.
  size_t unflushed_ = 0;
  int64_t written_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_PACKER_H_
