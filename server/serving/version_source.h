// Which versions of which models there are: what serving needs to know of a model registry.
#ifndef ATELIER_SERVER_SERVING_VERSION_SOURCE_H_
#define ATELIER_SERVER_SERVING_VERSION_SOURCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace atelier::serving {

// One version of a model and where its archive lies.
struct Version {
  std::string model;
  std::int64_t number = 0;
  std::string archive_path;
  std::string sha256;  // Of the archive, lower-case hexadecimal.

  friend bool operator==(const Version&, const Version&) = default;
};

// Thread-safe; may wait for the disk.
class VersionSource {
 public:
  virtual ~VersionSource() = default;

  // The version that `reference` stands for now: a number, an alias, or empty for the latest.
  // Errors are handed to the caller of Classify as they are; NOT_FOUND and FAILED_PRECONDITION say
  // that there is none.
  virtual absl::StatusOr<Version> Resolve(const std::string& model,
                                          const std::string& reference) = 0;

  // All versions of a model, oldest first; NOT_FOUND.
  virtual absl::StatusOr<std::vector<Version>> Versions(const std::string& model) = 0;

  // All models, by name.
  virtual absl::StatusOr<std::vector<std::string>> Models() = 0;

  // Whether archives that are not at their paths may be brought there.
  virtual bool MayFetch() const { return false; }

  // Makes a version's archive lie at its path, wherever else it is kept; may wait for the network,
  // for minutes. UNAVAILABLE with a sentence.
  virtual absl::Status Fetch(const Version& /*version*/) { return absl::OkStatus(); }
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_VERSION_SOURCE_H_
