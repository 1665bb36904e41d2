#include "server/jobs/job_state.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/strip.h"

namespace atelier::jobs {
namespace {

struct Row {
  v1::JobState from;
  std::initializer_list<v1::JobState> to;
};

// PREPARING leads to EVALUATING when the checkpoint it resumes from already ended the training;
// STOPPING waits there for cores when its attempt was lost or suspended, so nothing leads back to
// QUEUED from it.
constexpr v1::JobState kNone = v1::JOB_STATE_UNSPECIFIED;
constexpr v1::JobState kQueued = v1::JOB_STATE_QUEUED;
constexpr v1::JobState kStarting = v1::JOB_STATE_STARTING;
constexpr v1::JobState kPreparing = v1::JOB_STATE_PREPARING;
constexpr v1::JobState kTraining = v1::JOB_STATE_TRAINING;
constexpr v1::JobState kEvaluating = v1::JOB_STATE_EVALUATING;
constexpr v1::JobState kImporting = v1::JOB_STATE_IMPORTING;
constexpr v1::JobState kChecking = v1::JOB_STATE_CHECKING;
constexpr v1::JobState kStoring = v1::JOB_STATE_STORING;
constexpr v1::JobState kStopping = v1::JOB_STATE_STOPPING;
constexpr v1::JobState kCompleted = v1::JOB_STATE_COMPLETED;
constexpr v1::JobState kFailed = v1::JOB_STATE_FAILED;
constexpr v1::JobState kStopped = v1::JOB_STATE_STOPPED;

const Row kTable[] = {
    {kNone, {kQueued}},
    {kQueued, {kStarting, kStopping, kStopped, kFailed}},
    {kStarting, {kPreparing, kImporting, kQueued, kStopping, kFailed}},
    {kImporting, {kStoring, kQueued, kStopping, kFailed}},
    {kPreparing, {kTraining, kEvaluating, kChecking, kQueued, kStopping, kFailed}},
    {kTraining, {kEvaluating, kQueued, kStopping, kFailed}},
    {kEvaluating, {kStoring, kCompleted, kQueued, kStopping, kFailed}},
    {kChecking, {kCompleted, kQueued, kStopping, kFailed}},
    {kStoring, {kCompleted, kQueued, kStopping, kFailed}},
    {kStopping, {kStopped, kFailed}},
};

}  // namespace

bool CanTransition(v1::JobState from, v1::JobState to) {
  for (const Row& row : kTable) {
    if (row.from == from) return std::find(row.to.begin(), row.to.end(), to) != row.to.end();
  }
  return false;
}

bool IsTerminal(v1::JobState state) {
  return state == kCompleted || state == kFailed || state == kStopped;
}

absl::string_view StateWord(v1::JobState state) {
  if (!v1::JobState_IsValid(state)) return "UNSPECIFIED";
  return absl::StripPrefix(v1::JobState_Name(state), "JOB_STATE_");
}

}  // namespace atelier::jobs
