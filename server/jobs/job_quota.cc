#include "server/jobs/job_quota.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/jobs/over_limit.h"

namespace atelier::jobs {
namespace {

constexpr char kNoUseWaiting[] = "Waiting is no use; ask for less, or an administrator for more.";
// When jobs may have ended, or people deleted something.
constexpr absl::Duration kWait = absl::Seconds(10);

}  // namespace

absl::Status JobQuota::CheckNew(const v1::TrainingJob& job, std::int64_t cores,
                                const Use& use) const {
  if (!limits()) return absl::OkStatus();
  const std::string& creator = job.creator();
  const JobLimits most = limits_of_(creator);
  if (most.priority.has_value() && job.spec().priority() > *most.priority) {
    return OverLimit({creator, "priority", *most.priority,
                      absl::StrCat("a job of priority ", job.spec().priority()), kNoUseWaiting});
  }
  if (most.cores.has_value() && cores > *most.cores) {
    return OverLimit({creator, "cores", *most.cores,
                      absl::StrCat("a job that needs ", cores, " cores"), kNoUseWaiting});
  }
  if (most.jobs.has_value() && use.jobs >= *most.jobs) {
    return OverLimit({creator, "jobs", *most.jobs,
                      absl::StrCat(use.jobs + 1, " jobs that have not ended"),
                      "Try again when one has ended.", kWait});
  }
  return job.has_spec() ? CheckModels(creator, most) : absl::OkStatus();
}

absl::Status JobQuota::CheckModels(const std::string& creator, const JobLimits& most) const {
  if (!most.models.has_value()) return absl::OkStatus();
  const auto bytes = models_->ModelBytesOf(creator);
  if (!bytes.ok()) return bytes.status();
  if (*bytes < *most.models) return absl::OkStatus();
  return OverLimit({creator, "models", *most.models,
                    absl::StrCat("more than the ", *bytes, " bytes of models that there are"),
                    "Delete versions that are not needed.", kWait});
}

absl::Status JobQuota::CheckData(const std::string& creator, std::int64_t uploads,
                                 std::int64_t more) const {
  if (!limits()) return absl::OkStatus();
  const JobLimits most = limits_of_(creator);
  if (!most.data.has_value()) return absl::OkStatus();
  const auto stored = datasets_->DatasetBytesOf(creator);
  if (!stored.ok()) return stored.status();
  const std::int64_t bytes = *stored + uploads;
  // Not added up: what is announced may be as much as there are numbers.
  if (more <= *most.data - bytes) return absl::OkStatus();
  return OverLimit({creator, "data", *most.data,
                    absl::StrCat(more, " bytes of data beside the ", bytes, " that there are"),
                    "Delete versions or uploads that are not needed.", kWait});
}

std::string JobQuota::WhyWait(const std::string& creator, std::int64_t cores,
                              const Use& use) const {
  if (!limits()) return "";
  const JobLimits most = limits_of_(creator);
  if (most.running.has_value() && use.running >= *most.running) {
    return absl::StrCat(creator, " has ", use.running, " jobs running, and may have ",
                        *most.running, ".");
  }
  if (most.cores.has_value() && use.cores + cores > *most.cores) {
    return absl::StrCat("It needs ", cores, " cores; of the ", *most.cores, " that ", creator,
                        " may have, ", use.cores, " are taken.");
  }
  return "";
}

}  // namespace atelier::jobs
