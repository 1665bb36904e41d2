// Where artifacts are kept: a folder, or an object store behind one; and where serving replicas
// find them. The rest of the server knows them by their interfaces alone.
#ifndef ATELIER_SERVER_ARTIFACT_STORES_H_
#define ATELIER_SERVER_ARTIFACT_STORES_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/base/clock.h"
#include "server/jobs/artifact_store.h"
#include "server/objects/object_observer.h"
#include "server/registry/registry_place.h"
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

struct Artifacts {
  std::unique_ptr<jobs::ArtifactStore> store;
  // Told that the file at this path, the registry for serving replicas, is another one; lives no
  // longer than the store. Empty if nobody has to know.
  std::function<absl::Status(const std::string& path)> keep_registry;
};

// Errors are one sentence for the operator.
absl::StatusOr<Artifacts> MakeArtifacts(const ServerOptions& options,
                                        const ArtifactContext& context);

// Where a serving replica finds what it follows.
absl::StatusOr<std::unique_ptr<registry::RegistryPlace>> MakeRegistryPlace(
    const ServerOptions& options, const Clock* clock, objects::ObjectObserver* observer);

}  // namespace atelier::server

#endif  // ATELIER_SERVER_ARTIFACT_STORES_H_
