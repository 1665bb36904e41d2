// SqliteStore: models, versions, aliases.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/jobs/error.h"
#include "server/jobs/model_errors.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/jobs/timestamps.h"
#include "server/store/connections.h"
#include "server/store/latest_version.h"
#include "server/store/model_rows.h"
#include "server/store/needs.h"
#include "server/store/object_rows.h"
#include "server/store/rows.h"
#include "server/store/sqlite_store.h"

namespace atelier::store {
namespace {

using SQLite::Database;
using SQLite::Statement;

constexpr const char kLatest[] = "latest";
constexpr int kMaxVersions = 1000;  // In one message.

using jobs::NoModel;
using jobs::NoVersion;

bool HasModel(Database& database, absl::string_view model) {
  Statement select(database, "SELECT 1 FROM versions WHERE model = ? LIMIT 1");
  BindText(&select, 1, model);
  return select.executeStep();
}

bool HasVersion(Database& database, absl::string_view model, std::int64_t version) {
  Statement select(database, "SELECT 1 FROM versions WHERE model = ? AND version = ?");
  BindText(&select, 1, model);
  select.bind(2, version);
  return select.executeStep();
}

std::optional<std::int64_t> FindAlias(Database& database, absl::string_view model,
                                      absl::string_view alias) {
  Statement select(database, "SELECT version FROM aliases WHERE model = ? AND alias = ?");
  BindText(&select, 1, model);
  BindText(&select, 2, alias);
  if (!select.executeStep()) return std::nullopt;
  return select.getColumn(0).getInt64();
}

void ReadAliases(Database& database, absl::string_view model, v1::Model* message) {
  Statement select(database,
                   "SELECT alias, version, creator, set_time FROM aliases WHERE model = ?");
  BindText(&select, 1, model);
  while (select.executeStep()) {
    v1::ModelAlias* alias = message->add_aliases();
    alias->set_alias(select.getColumn(0).getString());
    alias->set_version(select.getColumn(1).getInt64());
    alias->set_creator(select.getColumn(2).getString());
    const std::int64_t time = select.getColumn(3).getInt64();
    if (time > 0) *alias->mutable_update_time() = jobs::ToTimestamp(absl::FromUnixMicros(time));
  }
  if (const auto latest = FindLatest(database, model); latest.has_value()) {
    v1::ModelAlias* alias = message->add_aliases();
    alias->set_alias(kLatest);
    alias->set_version(*latest);
  }
  std::sort(message->mutable_aliases()->begin(), message->mutable_aliases()->end(),
            [](const auto& a, const auto& b) { return a.alias() < b.alias(); });
}

// With a page of the versions below `before`.
v1::Model ReadModel(Database& database, absl::string_view model, int page_size = kMaxVersions,
                    std::int64_t before = INT64_MAX) {
  v1::Model message;
  message.set_name(jobs::ModelName(model));
  Statement select(database,
                   "SELECT data, version FROM versions WHERE model = ? AND version < ? "
                   "ORDER BY version DESC LIMIT ?");
  BindText(&select, 1, model);
  select.bind(2, before);
  select.bind(3, page_size + 1);
  jobs::PageRoom room(page_size);
  while (select.executeStep()) {
    v1::ModelVersion version;
    const std::int64_t number = select.getColumn(1).getInt64();
    Demand(
        ParseVersion(select.getColumn(0), jobs::ModelVersionName(model, number), number, &version));
    if (!room.Take(version.ByteSizeLong())) {
      message.set_next_page_token(
          jobs::MakeVersionsToken(model, message.versions().rbegin()->version()));
      break;
    }
    message.add_versions()->Swap(&version);
  }
  ReadAliases(database, model, &message);
  Statement count(database, "SELECT count(*) FROM versions WHERE model = ?");
  BindText(&count, 1, model);
  count.executeStep();
  message.set_version_count(count.getColumn(0).getInt());
  return message;
}

// What a reference stands for; the version need not exist if it is a number.
absl::StatusOr<std::int64_t> ResolveReference(Database& database, absl::string_view model,
                                              absl::string_view reference) {
  std::int64_t number = 0;
  if (!reference.empty() && std::all_of(reference.begin(), reference.end(), absl::ascii_isdigit)) {
    if (absl::SimpleAtoi(reference, &number)) return number;
  } else if (reference.empty() || reference == kLatest) {
    const auto latest = FindLatest(database, model);
    if (latest.has_value()) return *latest;
    return jobs::NoLatest(model);
  } else if (const auto version = FindAlias(database, model, reference); version.has_value()) {
    return *version;
  }
  return jobs::NoReference(model, reference);
}

// Aliases of one version, or of all (0), as a list for a message.
std::string AliasesOf(Database& database, absl::string_view model, std::int64_t version) {
  Statement select(database,
                   "SELECT alias FROM aliases WHERE model = ?1 AND (?2 = 0 OR version = ?2) "
                   "ORDER BY alias");
  BindText(&select, 1, model);
  select.bind(2, version);
  std::vector<std::string> aliases;
  while (select.executeStep()) aliases.push_back(select.getColumn(0).getString());
  return absl::StrJoin(aliases, ", ");
}

// An alias keeps its classes and its image shape, so that its callers need not change.
absl::Status CheckKind(Database& database, absl::string_view model, absl::string_view alias,
                       std::int64_t version) {
  const auto present = FindAlias(database, model, alias);
  if (!present.has_value()) return absl::OkStatus();
  const auto now = FindVersion(database, model, *present);
  const auto then = FindVersion(database, model, version);
  const std::string difference = Difference(*then, *now);
  if (difference.empty()) return absl::OkStatus();
  return jobs::Error(
      absl::StatusCode::kFailedPrecondition, "OTHER_CLASSES",
      absl::StrCat("Version ", version, " of model ", model, " answers another question than ",
                   alias, ", which is version ", *present, ": ", difference,
                   ". Clients of the alias would not notice."));
}

absl::Status InUse(absl::string_view what, absl::string_view aliases) {
  return jobs::Error(
      absl::StatusCode::kFailedPrecondition, "VERSION_IN_USE",
      absl::StrCat(what, " is named by ", aliases, "; move or remove the alias first."));
}

// VERSION_NEEDED while jobs need a version, or any of the model (0).
absl::Status CheckNotNeeded(Database& database, absl::string_view model, std::int64_t version,
                            absl::string_view what) {
  const std::string name = version == 0 ? absl::StrCat(jobs::ModelName(model), "/versions/")
                                        : jobs::ModelVersionName(model, version);
  return CheckUnneeded(database, "VERSION_NEEDED", what, [&](const Needed& needed) {
    return version == 0 ? absl::StartsWith(needed.version, name) : needed.version == name;
  });
}

}  // namespace

void RegisterVersion(Database& database, const v1::ModelVersion& version) {
  const auto name = jobs::ParseModelName(version.name());
  if (!name.ok()) throw SQLite::Exception(std::string(name.status().message()));
  Statement insert(database,
                   "INSERT INTO versions (model, version, moved_latest, data) "
                   "VALUES (?, ?, ?, ?)");
  BindText(&insert, 1, name->model);
  insert.bind(2, version.version());
  insert.bind(3, JudgeLatest(database, name->model, version).moves ? 1 : 0);
  BindMessage(&insert, 4, version);
  insert.exec();
}

absl::StatusOr<v1::ListModelsResponse> SqliteStore::ListModels(int page_size,
                                                               absl::string_view page_token) {
  auto after = jobs::ReadPageToken("models", page_token);
  if (!after.ok()) return after.status();
  return connections_->Read([&](Database& database) -> absl::StatusOr<v1::ListModelsResponse> {
    Statement select(database,
                     "SELECT name FROM models WHERE name > ? AND EXISTS "
                     "(SELECT 1 FROM versions WHERE model = name) ORDER BY name LIMIT ?");
    BindText(&select, 1, *after);
    select.bind(2, page_size + 1);
    std::vector<std::string> names;
    while (select.executeStep()) names.push_back(select.getColumn(0).getString());
    v1::ListModelsResponse response;
    jobs::PageRoom room(page_size);
    std::string last;
    for (const std::string& name : names) {
      v1::Model model = ReadModel(database, name, 1);
      model.clear_next_page_token();
      if (!room.Take(model.ByteSizeLong())) {
        response.set_next_page_token(jobs::MakePageToken("models", last));
        break;
      }
      last = name;
      response.add_models()->Swap(&model);
    }
    return response;
  });
}

absl::StatusOr<v1::Model> SqliteStore::GetModel(absl::string_view model, int page_size,
                                                absl::string_view page_token) {
  const auto before = jobs::ReadVersionsToken(model, page_token);
  if (!before.ok()) return before.status();
  return connections_->Read([&](Database& database) -> absl::StatusOr<v1::Model> {
    if (!HasModel(database, model)) return NoModel(model);
    return ReadModel(database, model, page_size, *before);
  });
}

absl::StatusOr<v1::ModelVersion> SqliteStore::ResolveVersion(absl::string_view model,
                                                             absl::string_view reference) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<v1::ModelVersion> {
    if (!HasModel(database, model)) return NoModel(model);
    auto version = ResolveReference(database, model, reference);
    if (!version.ok()) return version.status();
    auto found = FindVersion(database, model, *version);
    if (!found.has_value()) return NoVersion(model, *version);
    return *std::move(found);
  });
}

absl::StatusOr<v1::Model> SqliteStore::SetAlias(absl::string_view model, absl::string_view alias,
                                                std::int64_t version, bool force,
                                                const jobs::AliasSetting& setting) {
  if (!jobs::IsAlias(alias) || alias == kLatest) {
    return jobs::InvalidField(
        "alias", absl::StrCat("The alias '", absl::Utf8SafeCEscape(alias.substr(0, 80)),
                              "' cannot be one; it must be 1 to 63 characters of a-z, 0-9 and '-', "
                              "beginning with a letter, and not latest, which moves by itself."));
  }
  return connections_->Write([&](Database& database) -> absl::StatusOr<v1::Model> {
    if (!HasModel(database, model)) return NoModel(model);
    if (version == 0) {
      Statement remove(database, "DELETE FROM aliases WHERE model = ? AND alias = ?");
      BindText(&remove, 1, model);
      BindText(&remove, 2, alias);
      if (remove.exec() == 0) {
        return jobs::Error(absl::StatusCode::kNotFound, "ALIAS_NOT_FOUND",
                           absl::StrCat("Model ", model, " has no alias ", alias, "."));
      }
      return ReadModel(database, model);
    }
    if (!HasVersion(database, model, version)) return NoVersion(model, version);
    if (auto status = CheckKind(database, model, alias, version); !force && !status.ok()) {
      return status;
    }
    Statement set(database,
                  "INSERT OR REPLACE INTO aliases (model, alias, version, creator, set_time) "
                  "VALUES (?, ?, ?, ?, ?)");
    BindText(&set, 1, model);
    BindText(&set, 2, alias);
    set.bind(3, version);
    BindText(&set, 4, setting.creator);
    set.bind(5, absl::ToUnixMicros(setting.time));
    set.exec();
    return ReadModel(database, model);
  });
}

absl::Status SqliteStore::DeleteVersion(absl::string_view model, std::int64_t version, bool force) {
  return connections_->Write([&](Database& database) -> absl::Status {
    if (!HasModel(database, model)) return NoModel(model);
    if (!HasVersion(database, model, version)) return NoVersion(model, version);
    const std::string aliases = AliasesOf(database, model, version);
    const std::string name = jobs::ModelVersionName(model, version);
    if (!aliases.empty() && !force) return InUse(name, aliases);
    if (auto status = CheckNotNeeded(database, model, version, name); !status.ok()) return status;
    Statement remove(database, "DELETE FROM versions WHERE model = ? AND version = ?");
    BindText(&remove, 1, model);
    remove.bind(2, version);
    remove.exec();
    DoomVersion(database, model, version);
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<std::int64_t>> SqliteStore::DeleteModel(absl::string_view model,
                                                                   bool force) {
  return connections_->Write([&](Database& database) -> absl::StatusOr<std::vector<std::int64_t>> {
    if (!HasModel(database, model)) return NoModel(model);
    const std::string aliases = AliasesOf(database, model, 0);
    const std::string name = jobs::ModelName(model);
    if (!aliases.empty() && !force) return InUse(name, aliases);
    if (auto status = CheckNotNeeded(database, model, 0, name); !status.ok()) return status;
    std::vector<std::int64_t> versions;
    Statement remove(database, "DELETE FROM versions WHERE model = ? RETURNING version");
    BindText(&remove, 1, model);
    while (remove.executeStep()) versions.push_back(remove.getColumn(0).getInt64());
    for (const std::int64_t version : versions) DoomVersion(database, model, version);
    return versions;
  });
}

absl::StatusOr<jobs::LatestVerdict> SqliteStore::JudgeLatest(const v1::ModelVersion& version) {
  const auto name = jobs::ParseModelName(version.name());
  if (!name.ok()) return name.status();
  return connections_->Read([&](Database& database) -> absl::StatusOr<jobs::LatestVerdict> {
    return store::JudgeLatest(database, name->model, version);
  });
}

absl::StatusOr<std::int64_t> SqliteStore::ModelBytesOf(absl::string_view creator) {
  return connections_->Read([&](Database& database) -> absl::StatusOr<std::int64_t> {
    Statement select(database, "SELECT data FROM versions");
    std::int64_t bytes = 0;
    v1::ModelVersion version;
    while (select.executeStep()) {
      ReadMessage(select.getColumn(0), &version);
      if (version.creator() == creator) bytes += version.size_bytes();
    }
    return bytes;
  });
}

absl::StatusOr<std::int64_t> SqliteStore::ReserveVersion(absl::string_view model) {
  return connections_->Write([&](Database& database) -> absl::StatusOr<std::int64_t> {
    Statement next(database,
                   "INSERT INTO models (name, last_version) VALUES (?, 1) ON CONFLICT (name) "
                   "DO UPDATE SET last_version = last_version + 1 RETURNING last_version");
    BindText(&next, 1, model);
    next.executeStep();
    const std::int64_t version = next.getColumn(0).getInt64();
    while (next.executeStep()) {
    }
    return version;
  });
}

}  // namespace atelier::store
