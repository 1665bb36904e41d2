// Which version of a model is its `latest`, and what a new version changes of that.
#ifndef ATELIER_SERVER_STORE_LATEST_VERSION_H_
#define ATELIER_SERVER_STORE_LATEST_VERSION_H_

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "atelier/v1/model_service.pb.h"
#include "server/jobs/model_store.h"

namespace atelier::store {

// All throw SQLite::Exception.

// Nothing if the model has none.
std::optional<std::int64_t> FindLatest(SQLite::Database& database, absl::string_view model);

// Nothing if there is no such version.
std::optional<v1::ModelVersion> FindVersion(SQLite::Database& database, absl::string_view model,
                                            std::int64_t version);

// As ModelStore::JudgeLatest.
jobs::LatestVerdict JudgeLatest(SQLite::Database& database, absl::string_view model,
                                const v1::ModelVersion& version);

// In what a version differs from another one so that its answers mean something else, or that it
// needs other images; the end of a sentence. Empty if in nothing.
std::string Difference(const v1::ModelVersion& version, const v1::ModelVersion& other);

}  // namespace atelier::store

#endif  // ATELIER_SERVER_STORE_LATEST_VERSION_H_
