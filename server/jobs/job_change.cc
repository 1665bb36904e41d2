#include "server/jobs/job_change.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/job_state.h"
#include "server/jobs/timestamps.h"

namespace atelier::jobs {

namespace {

// Infinitely long ago for a record without any.
absl::Time NewestTime(const v1::TrainingJob& job) {
  absl::Time newest = absl::InfinitePast();
  if (!job.transitions().empty()) newest = FromTimestamp(job.transitions().rbegin()->time());
  if (!job.attempts().empty()) {
    const v1::Attempt& last = *job.attempts().rbegin();
    newest = std::max({newest, FromTimestamp(last.start_time()), FromTimestamp(last.end_time())});
  }
  return newest;
}

}  // namespace

JobChange::JobChange(JobRecord before, absl::Time now)
    : now_(std::max(now, NewestTime(before.job))) {
  update_.record = std::move(before);
}

absl::Status JobChange::Enter(v1::JobState to, absl::string_view reason,
                              absl::string_view message) {
  if (!CanTransition(state(), to)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "Job ", record().id, " cannot go from ", StateWord(state()), " to ", StateWord(to), "."));
  }
  v1::TrainingJob& job = record().job;
  job.set_state(to);
  v1::StateTransition* transition = job.add_transitions();
  transition->set_state(to);
  *transition->mutable_time() = ToTimestamp(now_);
  transition->set_reason(std::string(reason));
  transition->set_message(std::string(message));
  transition->set_attempt(record().attempt());
  if (IsTerminal(to)) *job.mutable_end_time() = ToTimestamp(now_);

  v1::JobEvent event;
  *event.mutable_transition() = *transition;
  Append(std::move(event));
  return absl::OkStatus();
}

void JobChange::Append(v1::JobEvent event) {
  event.set_number(++record().last_event);
  event.set_attempt(record().attempt());
  if (!event.has_time()) *event.mutable_time() = ToTimestamp(now_);
  update_.events.push_back(std::move(event));
}

void JobChange::Rewind(std::int64_t first, std::int32_t epoch, std::int32_t step) {
  update_.withdraw_from = first;
  record().recorded_epoch = std::min(record().recorded_epoch, epoch);
  if (record().job.has_progress()) {
    const v1::Progress shown = record().job.progress();
    v1::Progress* progress = record().job.mutable_progress();
    progress->Clear();
    progress->set_epoch(std::min(epoch + 1, shown.epochs()));
    progress->set_epochs(shown.epochs());
    progress->set_step(step);
    progress->set_steps_per_epoch(shown.steps_per_epoch());
  }
  v1::JobEvent event;
  event.mutable_rewound()->set_first_withdrawn(first);
  event.mutable_rewound()->set_epoch(epoch);
  Append(std::move(event));
}

}  // namespace atelier::jobs
