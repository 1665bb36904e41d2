// Which versions are needed by trainings that have not ended.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "atelier/v1/experiment_service.pb.h"
#include "server/jobs/error.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"
#include "server/store/latest_version.h"
#include "server/store/model_rows.h"
#include "server/store/rows.h"

namespace atelier::store {
namespace {

using SQLite::Database;
using SQLite::Statement;

// Whether a specification starts from a version, or from any of a model if `name` ends with '/'.
bool StartsFrom(const v1::TrainingSpec& spec, absl::string_view name) {
  return absl::EndsWith(name, "/") ? absl::StartsWith(spec.start_from(), name)
                                   : spec.start_from() == name;
}

bool StartsFrom(const v1::Experiment& experiment, absl::string_view name) {
  for (const v1::TrainingSpec& spec : experiment.configurations()) {
    if (StartsFrom(spec, name)) return true;
  }
  return false;
}

}  // namespace

absl::Status CheckVersionOf(Database& database, const v1::TrainingSpec& spec) {
  if (spec.start_from().empty()) return absl::OkStatus();
  const auto reference = jobs::ParseModelName(spec.start_from());
  if (!reference.ok()) return reference.status();
  std::int64_t version = 0;
  const bool number = absl::SimpleAtoi(reference->version, &version);
  if (number && FindVersion(database, reference->model, version).has_value()) {
    return absl::OkStatus();
  }
  return jobs::Error(absl::StatusCode::kNotFound, "VERSION_NOT_FOUND",
                     absl::StrCat("The version to start from, ", spec.start_from(),
                                  ", was deleted; choose another."));
}

std::vector<std::string> NeededBy(Database& database, absl::string_view model, std::int64_t version,
                                  std::size_t most) {
  const std::string name = version == 0 ? absl::StrCat(jobs::ModelName(model), "/versions/")
                                        : jobs::ModelVersionName(model, version);
  std::vector<std::string> users;
  // The files of a job are freed after its end.
  Statement job_rows(database, "SELECT job FROM jobs WHERE files_freed = 0 ORDER BY key");
  while (users.size() < most && job_rows.executeStep()) {
    v1::TrainingJob job;
    ReadMessage(job_rows.getColumn(0), &job);
    if (!jobs::IsTerminal(job.state()) && StartsFrom(job.spec(), name)) users.push_back(job.name());
  }
  Statement experiments(
      database, absl::StrCat("SELECT experiment FROM experiments WHERE state IN (",
                             v1::EXPERIMENT_STATE_RUNNING, ", ", v1::EXPERIMENT_STATE_STOPPING,
                             ") ORDER BY key"));
  while (users.size() < most && experiments.executeStep()) {
    v1::Experiment experiment;
    ReadMessage(experiments.getColumn(0), &experiment);
    if (StartsFrom(experiment, name)) users.push_back(experiment.name());
  }
  return users;
}

}  // namespace atelier::store
