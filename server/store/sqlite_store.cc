#include "server/store/sqlite_store.h"

#include <utility>

#include "server/store/connections.h"
#include "server/store/database_snapshot.h"

namespace atelier::store {

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               Options options) {
  auto connections = Connections::Open(path, options.readers);
  if (!connections.ok()) return connections.status();
  return std::unique_ptr<SqliteStore>(new SqliteStore(*std::move(connections), std::move(options)));
}

SqliteStore::SqliteStore(std::unique_ptr<Connections> connections, Options options)
    : connections_(std::move(connections)), notify_url_(std::move(options.notify_url)) {}

SqliteStore::~SqliteStore() = default;

absl::StatusOr<std::unique_ptr<DatabaseSnapshot>> SqliteStore::Snapshot(
    const std::string& path, const std::function<absl::Status()>& work) {
  auto pinned = connections_->Pin(work);
  if (!pinned.ok()) return pinned.status();
  return DatabaseSnapshot::Create(*std::move(pinned), path);
}

}  // namespace atelier::store
