// Which versions of which models there are: what serving needs to know of a model registry.
#ifndef ATELIER_SERVER_SERVING_VERSION_SOURCE_H_
#define ATELIER_SERVER_SERVING_VERSION_SOURCE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace atelier::serving {

// One version of a model and where its archive lies.
struct Version {
  std::string model;
  std::int64_t number = 0;
  std::string archive_path;
  std::string sha256;  // Of the archive, lower-case hexadecimal.
};

// Thread-safe; may wait for the disk.
class VersionSource {
 public:
  virtual ~VersionSource() = default;

  // The version that `reference` stands for now: a number, an alias, or empty for the latest.
  // Errors are handed to the caller of Classify as they are.
  virtual absl::StatusOr<Version> Resolve(const std::string& model,
                                          const std::string& reference) = 0;
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_VERSION_SOURCE_H_
