// What the controller needs to know of the data sets a server has.
#ifndef ATELIER_SERVER_JOBS_DATASET_SOURCE_H_
#define ATELIER_SERVER_JOBS_DATASET_SOURCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"

namespace atelier::jobs {

// What a data set's headers tell.
struct DatasetFacts {
  int class_count = 0;
  std::vector<std::string> class_names;  // As many.
  v1::ImageShape image_shape;
  std::int64_t training_images = 0;  // Validation images included.
  // Why it cannot be used, without a full stop; the other fields mean nothing then. Empty if it
  // can.
  std::string problem;
};

// Thread-safe.
class DatasetSource {
 public:
  virtual ~DatasetSource() = default;

  // Names of all data sets, sorted. In memory.
  virtual std::vector<std::string> Names() const = 0;

  // The folder of a data set; nothing if there is none of that name. In memory.
  virtual std::optional<std::string> Directory(absl::string_view name) const = 0;

  // What its headers tell; nothing if there is none of that name. May read the disk.
  virtual std::optional<DatasetFacts> Describe(absl::string_view name) = 0;

  // Of all its bytes, as v1::Dataset.checksum; nothing if that takes too long or cannot be told.
  // May read the disk for seconds.
  virtual std::optional<std::string> Checksum(absl::string_view /*name*/) { return std::nullopt; }
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_DATASET_SOURCE_H_
