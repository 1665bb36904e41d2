#include "server/jobs/job_kind.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

constexpr v1::JobState kTrainingCourse[] = {v1::JOB_STATE_STARTING, v1::JOB_STATE_PREPARING,
                                            v1::JOB_STATE_TRAINING, v1::JOB_STATE_EVALUATING,
                                            v1::JOB_STATE_STORING};
constexpr v1::JobState kImportCourse[] = {v1::JOB_STATE_STARTING, v1::JOB_STATE_IMPORTING,
                                          v1::JOB_STATE_STORING};
constexpr v1::JobState kEvaluationCourse[] = {v1::JOB_STATE_STARTING, v1::JOB_STATE_PREPARING,
                                              v1::JOB_STATE_EVALUATING};
constexpr v1::JobState kCheckCourse[] = {v1::JOB_STATE_STARTING, v1::JOB_STATE_PREPARING,
                                         v1::JOB_STATE_CHECKING};

constexpr JobKindTraits kTrainingTraits = {
    "a training",
    kTrainingCourse,
    "before the first epoch was complete",
    "A stop was requested; the model is evaluated and stored.",
    "a smaller --batch-size, a --memory that the job keeps to, or ",
    "the job starts again, since it had no checkpoint"};
constexpr JobKindTraits kImportTraits = {"an import",
                                         kImportCourse,
                                         "before the data set was complete",
                                         "A stop was requested; no data set is made.",
                                         "",
                                         "the job starts again"};
constexpr JobKindTraits kEvaluationTraits = {
    "an evaluation",
    kEvaluationCourse,
    "before the evaluation was complete",
    "A stop was requested; nothing of the evaluation is kept.",
    "",
    "the job starts again"};
constexpr JobKindTraits kCheckTraits = {"a check",
                                        kCheckCourse,
                                        "before the check was complete",
                                        "A stop was requested; nothing of the check is kept.",
                                        "",
                                        "the job goes on with the folds that are left"};

// Leaves room in a job's id for the time.
constexpr std::size_t kNameInJobId = 40;

template <typename Spec>
Scheduler::Resources ResourcesOf(const Spec& spec) {
  return {.cores = spec.cores(), .memory_bytes = spec.memory_bytes()};
}

}  // namespace

const JobKindTraits& TraitsOf(const v1::TrainingJob& job) {
  switch (KindOf(job)) {
    case JobKind::kImport:
      return kImportTraits;
    case JobKind::kEvaluation:
      return kEvaluationTraits;
    case JobKind::kCheck:
      return kCheckTraits;
    case JobKind::kTraining:
      break;
  }
  return kTrainingTraits;
}

absl::string_view StateSentence(const v1::TrainingJob& job, v1::JobState state) {
  switch (state) {
    case v1::JOB_STATE_IMPORTING:
      return "The upload is read and made a data set.";
    case v1::JOB_STATE_PREPARING:
      return "The data set is being loaded and validated.";
    case v1::JOB_STATE_TRAINING:
      return "The network is being trained.";
    case v1::JOB_STATE_EVALUATING:
      return job.has_evaluation() ? "The model is being evaluated."
                                  : "The test set is being evaluated.";
    case v1::JOB_STATE_CHECKING:
      return "The data set is being checked.";
    default:
      return job.has_import() ? "The data set is being stored." : "The model is being stored.";
  }
}

Scheduler::Resources NeedsOfNode(const v1::TrainingJob& job) {
  switch (KindOf(job)) {
    case JobKind::kImport:
      return ResourcesOf(job.import());
    case JobKind::kEvaluation:
      return ResourcesOf(job.evaluation());
    case JobKind::kCheck:
      return ResourcesOf(job.check());
    case JobKind::kTraining:
      break;
  }
  return ResourcesOf(job.spec());
}

Scheduler::Resources NeedsOf(const v1::TrainingJob& job) {
  const Scheduler::Resources each = NeedsOfNode(job);
  const int nodes = NodesOf(job.spec());
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return {.cores = nodes * each.cores,
          .memory_bytes = nodes * std::min(each.memory_bytes, kMost / nodes)};
}

// An accepted job of an earlier version has one node and does not say so.
int NodesOf(const v1::TrainingSpec& spec) { return std::max(1, spec.nodes()); }

std::vector<std::string> EngineArguments(const v1::TrainingSpec& spec) {
  return absl::StrSplit(spec.slurm_args(), absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
}

std::string BaseNameOf(const v1::TrainingJob& job) {
  absl::string_view verb = job.has_import() ? "import" : "check";
  std::string subject = DatasetOf(job);
  if (job.has_evaluation()) {
    const auto model = ParseModelName(job.evaluation().model_version());
    verb = "evaluate";
    subject = model.ok() ? model->model : "model";
  }
  subject = subject.substr(0, std::min(kNameInJobId, subject.find('@')));
  while (absl::EndsWith(subject, "-")) subject.pop_back();
  return absl::StrCat(verb, "-", subject);
}

std::string NeededDataset(const v1::TrainingJob& job) {
  return job.has_import() ? "" : DatasetOf(job);
}

const std::string& NeededVersion(const v1::TrainingJob& job) {
  return job.has_evaluation() ? job.evaluation().model_version() : job.spec().start_from();
}

}  // namespace atelier::jobs
