#include "server/store/sqlite_store.h"

#include <utility>

#include "server/store/connections.h"

namespace atelier::store {

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path,
                                                               Options options) {
  auto connections = Connections::Open(path, options.readers);
  if (!connections.ok()) return connections.status();
  return std::unique_ptr<SqliteStore>(new SqliteStore(*std::move(connections)));
}

SqliteStore::SqliteStore(std::unique_ptr<Connections> connections)
    : connections_(std::move(connections)) {}

SqliteStore::~SqliteStore() = default;

}  // namespace atelier::store
