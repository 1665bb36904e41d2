// Publishes a server's registry for its serving replicas: as a file beside the archives, and
// wherever that file is then kept.
#ifndef ATELIER_SERVER_REGISTRY_REGISTRY_PUBLISHER_H_
#define ATELIER_SERVER_REGISTRY_REGISTRY_PUBLISHER_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/jobs/model_store.h"
#include "server/registry/registry_observer.h"

namespace atelier::registry {

// One thread uses it.
class RegistryPublisher {
 public:
  struct Options {
    std::string data_dir;
    // Told that the file at this path is another one. May be empty.
    std::function<absl::Status(const std::string& path)> keep;
    std::function<void(const std::string& sentence)> log;  // Required.
  };

  // Both must live as long.
  RegistryPublisher(Options options, jobs::ModelStore* models, RegistryObserver* observer)
      : options_(std::move(options)), models_(models), observer_(observer) {}

  // Writes the file, durably and at once, unless it is what this wrote last: the first call mends
  // what a crash left undone. Answers with how long until the next call if nothing changes.
  absl::Duration Tick();

 private:
  absl::Status Publish();

  const Options options_;
  jobs::ModelStore* const models_;
  RegistryObserver* const observer_;
  std::string published_;  // SHA-256 of what was.
  std::string complaint_;  // What was logged of failures since the last success.
};

}  // namespace atelier::registry

#endif  // ATELIER_SERVER_REGISTRY_REGISTRY_PUBLISHER_H_
