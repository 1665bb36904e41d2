#include "server/store/needs.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "atelier/v1/experiment_service.pb.h"
#include "server/jobs/error.h"
#include "server/jobs/job_kind.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"
#include "server/store/rows.h"

namespace atelier::store {
namespace {

using SQLite::Database;
using SQLite::Statement;
using IsIt = absl::FunctionRef<bool(const Needed&)>;

constexpr std::size_t kMostNamed = 3;  // Of those that need something, in a message.

bool HasRow(Database& database, const char* select, absl::string_view name, std::int64_t version) {
  Statement row(database, select);
  BindText(&row, 1, name);
  row.bind(2, version);
  return row.executeStep();
}

absl::Status Gone(absl::string_view role, absl::string_view name) {
  return jobs::Error(absl::StatusCode::kNotFound, "VERSION_NOT_FOUND",
                     absl::StrCat("The ", role, ", ", name, ", was deleted; choose another."));
}

// The names of jobs and experiments that have not ended and need it: at most so many.
std::vector<std::string> UsersOf(Database& database, IsIt is_it, std::size_t most) {
  std::vector<std::string> users;
  // The files of a job are freed after its end.
  Statement job_rows(database, "SELECT job FROM jobs WHERE files_freed = 0 ORDER BY key");
  while (users.size() < most && job_rows.executeStep()) {
    v1::TrainingJob job;
    ReadMessage(job_rows.getColumn(0), &job);
    if (!jobs::IsTerminal(job.state()) && is_it(NeededBy(job))) users.push_back(job.name());
  }
  Statement experiments(
      database, absl::StrCat("SELECT experiment FROM experiments WHERE state IN (",
                             v1::EXPERIMENT_STATE_RUNNING, ", ", v1::EXPERIMENT_STATE_STOPPING,
                             ") ORDER BY key"));
  while (users.size() < most && experiments.executeStep()) {
    v1::Experiment experiment;
    ReadMessage(experiments.getColumn(0), &experiment);
    const auto& all = experiment.configurations();
    const bool needs = std::any_of(all.begin(), all.end(), [&](const v1::TrainingSpec& spec) {
      return is_it(NeededBy(spec));
    });
    if (needs) users.push_back(experiment.name());
  }
  return users;
}

}  // namespace

Needed NeededBy(const v1::TrainingJob& job) {
  return {jobs::NeededVersion(job), jobs::NeededDataset(job)};
}

Needed NeededBy(const v1::TrainingSpec& spec) { return {spec.start_from(), spec.dataset()}; }

absl::Status CheckPresent(Database& database, const Needed& needed) {
  if (!needed.version.empty()) {
    const auto model = jobs::ParseModelName(needed.version);
    if (!model.ok()) return model.status();
    std::int64_t version = 0;
    if (!absl::SimpleAtoi(model->version, &version) ||
        !HasRow(database, "SELECT 1 FROM versions WHERE model = ? AND version = ?", model->model,
                version)) {
      return Gone("version", needed.version);
    }
  }
  const auto dataset = jobs::ParseDatasetReference(needed.dataset);
  if (dataset.has_value() && dataset->version != 0 &&
      !HasRow(database, "SELECT 1 FROM dataset_versions WHERE dataset = ? AND version = ?",
              dataset->dataset, dataset->version)) {
    return Gone("data set", needed.dataset);
  }
  return absl::OkStatus();
}

absl::Status CheckUnneeded(Database& database, absl::string_view reason, absl::string_view what,
                           IsIt is_it) {
  std::vector<std::string> users = UsersOf(database, is_it, kMostNamed + 1);
  if (users.empty()) return absl::OkStatus();
  const bool one = users.size() == 1;
  if (users.size() > kMostNamed) users.back() = "others";
  const std::string last = users.back();
  users.pop_back();
  return jobs::Error(
      absl::StatusCode::kFailedPrecondition, reason,
      absl::StrCat(what, " cannot be deleted yet: ", absl::StrJoin(users, ", "), one ? "" : " and ",
                   last, one ? " needs" : " need", " it and ", one ? "has" : "have",
                   " not ended; wait, or stop ", one ? "it." : "them."));
}

}  // namespace atelier::store
