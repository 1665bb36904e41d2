#include "server/jobs/worker_watch.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace atelier::jobs {

WorkerWatch::Attempt* WorkerWatch::Find(absl::string_view job) {
  const auto attempt = attempts_.find(job);
  return attempt == attempts_.end() ? nullptr : &attempt->second;
}

const WorkerWatch::Attempt* WorkerWatch::Find(absl::string_view job) const {
  const auto attempt = attempts_.find(job);
  return attempt == attempts_.end() ? nullptr : &attempt->second;
}

std::optional<LaunchStatus> WorkerWatch::EndLaunch(const std::string& handle) {
  launching_.clear();
  const auto told = std::exchange(early_, {});
  const auto status = told.find(handle);
  if (status == told.end()) return std::nullopt;
  return status->second;
}

void WorkerWatch::StartFailed(absl::Duration now) {
  const double factor = static_cast<double>(std::int64_t{1} << std::min(failed_starts_++, 30));
  next_start_ = now + std::min(options_.retry_delay * factor, options_.max_retry_delay);
}

void WorkerWatch::Begin(const std::string& job, const std::string& handle, absl::Duration now) {
  attempts_[job] = {.handle = handle, .lease_end = now + options_.attach_timeout};
}

void WorkerWatch::Adopt(const std::string& job, const std::string& handle, bool stopping,
                        absl::Duration now) {
  attempts_[job] = {.handle = handle, .lease_end = now + options_.lease};
  if (stopping) TellToStop(job, now);
}

bool WorkerWatch::Pend(absl::string_view job) {
  Attempt* attempt = Find(job);
  if (attempt == nullptr || (attempt->heard && !attempt->ran)) return false;
  attempt->pending = true;
  return true;
}

bool WorkerWatch::pending(absl::string_view job) const {
  const Attempt* attempt = Find(job);
  return attempt != nullptr && attempt->pending;
}

std::size_t WorkerWatch::pending() const {
  return static_cast<std::size_t>(std::count_if(
      attempts_.begin(), attempts_.end(), [](const auto& entry) { return entry.second.pending; }));
}

void WorkerWatch::Run(absl::string_view job, absl::Duration now) {
  Attempt* attempt = Find(job);
  if (attempt == nullptr) return;
  attempt->ran = true;
  if (!std::exchange(attempt->pending, false)) return;
  attempt->lease_end = now + options_.attach_timeout;
  if (attempt->stop_deadline < absl::InfiniteDuration()) TellToStop(job, now);
}

void WorkerWatch::Hear(absl::string_view job, absl::Duration now) {
  if (Attempt* attempt = Find(job)) {
    attempt->heard = true;
    attempt->pending = false;
    attempt->lease_end = now + options_.lease;
  }
}

void WorkerWatch::TellToStop(absl::string_view job, absl::Duration now) {
  if (Attempt* attempt = Find(job)) attempt->stop_deadline = now + options_.stop_timeout;
}

void WorkerWatch::Obey(absl::string_view job) {
  if (Attempt* attempt = Find(job)) attempt->stop_deadline = absl::InfiniteDuration();
}

void WorkerWatch::LookAgain(absl::string_view job, absl::Duration now) {
  if (Attempt* attempt = Find(job)) {
    attempt->pending = false;
    attempt->lease_end = now + options_.retry_delay;
  }
}

void WorkerWatch::BeginStoring(absl::string_view job) {
  if (Attempt* attempt = Find(job)) attempt->storing = true;
}

void WorkerWatch::EndStoring(absl::string_view job, absl::Duration now) {
  if (Attempt* attempt = Find(job)) attempt->storing = false;
  Hear(job, now);
}

bool WorkerWatch::storing(absl::string_view job) const {
  const Attempt* attempt = Find(job);
  return attempt != nullptr && attempt->storing;
}

void WorkerWatch::SetExited(absl::string_view job, const ProcessEnd& end) {
  if (Attempt* attempt = Find(job)) attempt->exited = end;
}

std::optional<ProcessEnd> WorkerWatch::exited(absl::string_view job) const {
  const Attempt* attempt = Find(job);
  return attempt == nullptr ? std::nullopt : attempt->exited;
}

void WorkerWatch::End(absl::string_view job) { attempts_.erase(job); }

void WorkerWatch::Leave(const std::string& handle, absl::Duration now) {
  leaving_[handle] = now + options_.exit_timeout;
}

WorkerWatch::Exit WorkerWatch::TakeExit(const std::string& handle, const ProcessEnd& end) {
  if (leaving_.erase(handle) > 0) return {.was_leaving = true, .job = {}};
  const std::string job = JobOf(handle, end);
  SetExited(job, end);
  return {.was_leaving = false, .job = job};
}

std::string WorkerWatch::JobOf(const std::string& handle, const LaunchStatus& told) {
  for (const auto& [job, attempt] : attempts_) {
    if (attempt.handle == handle) return job;
  }
  if (launching()) early_[handle] = told;
  return "";
}

WorkerWatch::Overdue WorkerWatch::TakeOverdue(absl::Duration now) {
  Forgive(now - expected_call_);
  Overdue overdue;
  for (const auto& [job, attempt] : attempts_) {
    if (attempt.storing || attempt.pending) continue;
    if (attempt.lease_end <= now) {
      overdue.silent.push_back(job);
    } else if (attempt.stop_deadline <= now) {
      overdue.disobedient.push_back(job);
    }
  }
  for (const auto& [handle, deadline] : leaving_) {
    if (deadline <= now) overdue.lingering.push_back(handle);
  }
  for (const std::string& handle : overdue.lingering) leaving_.erase(handle);
  return overdue;
}

void WorkerWatch::Forgive(absl::Duration gap) {
  if (gap <= options_.watch_interval) return;
  for (auto& [job, attempt] : attempts_) {
    attempt.lease_end += gap;
    attempt.stop_deadline += gap;
  }
  for (auto& [handle, deadline] : leaving_) deadline += gap;
}

absl::Duration WorkerWatch::NextDue(absl::Duration now) const {
  absl::Duration due = absl::InfiniteDuration();
  for (const auto& [job, attempt] : attempts_) {
    if (attempt.storing || attempt.pending) continue;
    due = std::min({due, attempt.lease_end, attempt.stop_deadline, now + options_.watch_interval});
  }
  for (const auto& [handle, deadline] : leaving_) {
    due = std::min({due, deadline, now + options_.watch_interval});
  }
  return due;
}

}  // namespace atelier::jobs
