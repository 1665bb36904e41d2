// The four IDX files of a data set in an archive, as models/data/dataset_folder.h reads them:
// unpacked into a folder beside the output, packed there, and given image by image.
#ifndef ATELIER_MODELS_IMPORT_IDX_SOURCE_H_
#define ATELIER_MODELS_IMPORT_IDX_SOURCE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset_file.h"
#include "models/import/listing.h"
#include "models/import/picture_source.h"
#include "models/import/source.h"

namespace atelier::models {

class IdxSource final : public Source {
 public:
  // `scratch` names the folder, which must not exist; it goes with the source. kBadData as
  // DatasetFolder, and where what is unpacked has more than `max_bytes`; kCancelled, kInternal.
  static absl::StatusOr<std::unique_ptr<IdxSource>> Open(const Listing& listing,
                                                         const OpenArchive& open,
                                                         const std::string& scratch,
                                                         int64_t max_bytes, const StopSignal* stop);
  ~IdxSource() override;

  absl::StatusOr<bool> Next(SourceImage* image) override;
  absl::StatusOr<Image> Decode(const SourceImage& image) const override;
  std::string NameOf(int64_t index) const override;

 private:
  explicit IdxSource(std::string folder) : folder_(std::move(folder)) {}

  absl::Status Unpack(const Listing& listing, ArchiveReader* archive, int64_t max_bytes,
                      const StopSignal* stop);
  absl::Status UnpackFile(ArchiveReader* archive, const std::string& name, int64_t* left,
                          const StopSignal* stop);
  absl::Status Pack(const StopSignal* stop);
  absl::Status Describe();
  // Which split the image is in, and where.
  std::pair<SplitName, int64_t> PlaceOf(int64_t index) const;

  const std::string folder_;
  std::optional<DatasetFile> packed_;
  int64_t next_ = 0;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_IMPORT_IDX_SOURCE_H_
