// Where a replica finds the registry that it follows, and the archives of its models.
#ifndef ATELIER_SERVER_REGISTRY_REGISTRY_PLACE_H_
#define ATELIER_SERVER_REGISTRY_REGISTRY_PLACE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"

namespace atelier::registry {

// Thread-safe, except that one thread calls Read. Calls wait for the disk or the network, but for
// Name and ArchivePath. Model names are bare, versions are those of a registry that was read.
class RegistryPlace {
 public:
  virtual ~RegistryPlace() = default;

  // For sentences: `s3://bucket/prefix`, or a folder.
  virtual std::string Name() const = 0;

  // The file's bytes; nothing while it is the one that the last call that went well found. Errors
  // are a sentence's end.
  virtual absl::StatusOr<std::optional<std::string>> Read() = 0;

  // Where the archive is read from.
  virtual std::string ArchivePath(absl::string_view model,
                                  const v1::ModelVersion& version) const = 0;

  // Whether an archive that is not at its path may be brought there.
  virtual bool fetches() const { return false; }
  // Brings it there. UNAVAILABLE with a sentence.
  virtual absl::Status Fetch(absl::string_view /*model*/, const v1::ModelVersion& /*version*/) {
    return absl::OkStatus();
  }

  // What waits for a network ends soon.
  virtual void Stop() {}
};

}  // namespace atelier::registry

#endif  // ATELIER_SERVER_REGISTRY_REGISTRY_PLACE_H_
