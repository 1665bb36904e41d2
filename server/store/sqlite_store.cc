#include "server/store/sqlite_store.h"

#include <utility>

#include "server/store/connections.h"

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

}  // namespace atelier::store
