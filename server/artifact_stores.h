// Where artifacts are kept: a folder, or an object store behind one. The rest of the server knows
// them by their interface alone.
#ifndef ATELIER_SERVER_ARTIFACT_STORES_H_
#define ATELIER_SERVER_ARTIFACT_STORES_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/jobs/artifact_store.h"
#include "server/objects/object_observer.h"
#include "server/server_options.h"
#include "server/store/sqlite_store.h"

namespace atelier::server {

// What a store is made from; all must live as long.
struct ArtifactContext {
  const Clock* clock = nullptr;
  store::SqliteStore* database = nullptr;
  objects::ObjectObserver* observer = nullptr;
  std::string data_dir;
  std::function<void(const std::string&)> log;  // Told what nobody else is there to hear of.
};

// Errors are one sentence for the operator.
absl::StatusOr<std::unique_ptr<jobs::ArtifactStore>> MakeArtifacts(const ServerOptions& options,
                                                                   const ArtifactContext& context);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_ARTIFACT_STORES_H_
