#include "server/serving/version_state.h"

#include <utility>

namespace atelier::serving {

VersionState::ServedPtr VersionState::served() const {
  const Ready* ready = std::get_if<Ready>(&state_);
  return ready == nullptr ? nullptr : ready->served;
}

VersionState::ServedPtr VersionState::ServedFrom(const File& file) const {
  const Ready* ready = std::get_if<Ready>(&state_);
  return ready != nullptr && ready->file == file ? ready->served : nullptr;
}

absl::Status VersionState::failure() const {
  const Failed* failed = std::get_if<Failed>(&state_);
  return failed == nullptr ? absl::OkStatus() : failed->why;
}

absl::Status VersionState::RecentFailure(const File& file, SteadyTime now,
                                         std::chrono::nanoseconds retry_delay) const {
  const Failed* failed = std::get_if<Failed>(&state_);
  const bool recent = failed != nullptr && failed->file == file && now - failed->time < retry_delay;
  return recent ? failed->why : absl::OkStatus();
}

bool VersionState::CanAnswer(const File& file) const {
  if (kept_out_) return false;
  const Failed* failed = std::get_if<Failed>(&state_);
  return failed == nullptr || failed->file != file;
}

VersionState::ServedPtr VersionState::BeginLoading() {
  ServedPtr before = served();
  state_ = Loading();
  return before;
}

void VersionState::FinishLoading(ServedPtr served, const models::FileIdentity& file) {
  if (loading()) state_ = Ready{std::move(served), file};
}

void VersionState::FailLoading(absl::Status why, const File& file, SteadyTime now) {
  if (loading()) state_ = Failed{std::move(why), file, now};
}

VersionState::ServedPtr VersionState::Drop() {
  ServedPtr before = served();
  if (before != nullptr) state_ = Absent();
  return before;
}

}  // namespace atelier::serving
