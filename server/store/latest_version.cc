#include "server/store/latest_version.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/jobs/resource_names.h"
#include "server/store/rows.h"

namespace atelier::store {
namespace {

using SQLite::Database;
using SQLite::Statement;

std::string Shape(const v1::ImageShape& shape) {
  return absl::StrCat(shape.channels(), "×", shape.height(), "×", shape.width());
}

std::string Quoted(absl::string_view name) {
  return absl::StrCat("'", absl::Utf8SafeCEscape(name.substr(0, 40)), "'");
}

bool IsOfExperiment(Database& database, const std::string& job_name) {
  const auto job = jobs::ParseJobName(job_name);
  if (!job.ok()) return false;
  Statement select(database, "SELECT 1 FROM runs WHERE job = ?");
  BindText(&select, 1, *job);
  return select.executeStep();
}

}  // namespace

std::optional<std::int64_t> FindLatest(Database& database, absl::string_view model) {
  Statement select(database,
                   "SELECT version FROM versions WHERE model = ? AND moved_latest = 1 "
                   "ORDER BY version DESC LIMIT 1");
  BindText(&select, 1, model);
  if (!select.executeStep()) return std::nullopt;
  return select.getColumn(0).getInt64();
}

std::optional<v1::ModelVersion> FindVersion(Database& database, absl::string_view model,
                                            std::int64_t version) {
  Statement select(database, "SELECT data FROM versions WHERE model = ? AND version = ?");
  BindText(&select, 1, model);
  select.bind(2, version);
  if (!select.executeStep()) return std::nullopt;
  v1::ModelVersion message;
  Demand(
      ParseVersion(select.getColumn(0), jobs::ModelVersionName(model, version), version, &message));
  return message;
}

jobs::LatestVerdict JudgeLatest(Database& database, absl::string_view model,
                                const v1::ModelVersion& version) {
  jobs::LatestVerdict verdict;
  const auto stay = [&](std::string why) {
    verdict.moves = false;
    verdict.why = std::move(why);
    return verdict;
  };
  if (version.result().stopped_early()) return stay("its training was stopped");
  if (version.result().diverged()) return stay("its training diverged");
  const auto latest = FindLatest(database, model);
  // A model has to begin somewhere, so that it can be classified with.
  if (!latest.has_value()) return verdict;
  verdict.latest = *latest;
  if (const auto present = FindVersion(database, model, *latest); present.has_value()) {
    const std::string difference = Difference(version, *present);
    verdict.other_kind = !difference.empty();
    if (verdict.other_kind) return stay(difference);
  }
  if (IsOfExperiment(database, version.job())) return stay("it is a run of an experiment");
  return verdict;
}

std::string Difference(const v1::ModelVersion& version, const v1::ModelVersion& other) {
  if (version.class_names_size() != other.class_names_size()) {
    return absl::StrCat("it has ", version.class_names_size(), " classes instead of ",
                        other.class_names_size());
  }
  for (int i = 0; i < version.class_names_size(); ++i) {
    if (version.class_names(i) == other.class_names(i)) continue;
    return absl::StrCat("its class ", i, " is ", Quoted(version.class_names(i)), " instead of ",
                        Quoted(other.class_names(i)));
  }
  const std::string shape = Shape(version.image_shape());
  const std::string other_shape = Shape(other.image_shape());
  if (shape == other_shape) return "";
  return absl::StrCat("its images are ", shape, " instead of ", other_shape);
}

}  // namespace atelier::store
