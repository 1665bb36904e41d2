// What the controller needs to know of the data sets a server has.
#ifndef ATELIER_SERVER_JOBS_DATASET_SOURCE_H_
#define ATELIER_SERVER_JOBS_DATASET_SOURCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"

namespace atelier::jobs {

// What a data set's headers tell.
struct DatasetFacts {
  // What it is called from now on: of a pushed data set with the version's number, `digits@3`.
  std::string reference = {};
  int class_count = 0;
  std::vector<std::string> class_names = {};  // As many.
  v1::ImageShape image_shape = {};
  std::int64_t training_images = 0;  // Without those of the validation split.
  // Of the validation split that it brings; 0 if trainings hold back training images.
  std::int64_t validation_images = 0;
  std::int64_t test_images = 0;
  // Why it cannot be used, without a full stop; the other fields mean nothing then. Empty if it
  // can.
  std::string problem = {};
};

// Where a data set's bytes are: one of the two is empty.
struct DatasetPlace {
  std::string folder = {};  // Files of one of the formats that workers read.
  std::string file = {};    // Packed (models/data/dataset_file.h).
};

// Thread-safe. A reference is a name, or a name and a version: `digits@3`.
class DatasetSource {
 public:
  virtual ~DatasetSource() = default;

  // Names of data sets for a message, sorted: of pushed ones the first DatasetStore::kNamed.
  virtual std::vector<std::string> Names() const = 0;

  // Where a data set is. NOT_FOUND if there is none of that name; any other error says nothing
  // about it. Reads the database at most.
  virtual absl::StatusOr<DatasetPlace> Find(absl::string_view reference) const = 0;

  // What its headers tell. Errors as Find. May read the disk.
  virtual absl::StatusOr<DatasetFacts> Describe(absl::string_view reference) = 0;

  // Of all its bytes, as v1::Dataset.checksum; nothing if that takes too long or cannot be told.
  // May read the disk for seconds.
  virtual std::optional<std::string> Checksum(absl::string_view /*reference*/) {
    return std::nullopt;
  }
};

// What the headers of a data set tell that can be used. INVALID_ARGUMENT naming `field` if there is
// none of that reference or it cannot be used; other errors of Describe.
absl::StatusOr<DatasetFacts> DescribeUsable(const std::string& reference, absl::string_view field,
                                            DatasetSource* datasets);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_DATASET_SOURCE_H_
