#include "server/objects/object_mover.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/objects/s3_answers.h"

namespace atelier::objects {
namespace {

constexpr int kAtOnce = 8;
constexpr absl::Duration kAfterListFailure = absl::Seconds(10);
constexpr absl::Duration kTrimPause = absl::Seconds(10);
// The cache has to be looked at however little there is to move.
constexpr absl::Duration kLongestWait = absl::Minutes(1);

// 1 s, doubled with each failure, up to `longest`.
absl::Duration PauseAfter(int failures, absl::Duration longest) {
  return std::min(longest, absl::Seconds(1 << std::min(failures, 12)));
}

}  // namespace

absl::Status ObjectMover::Prepare() {
  if (auto status = with_.claim->Claim(with_.client, with_.clock->Now()); !status.ok()) {
    return status;
  }
  if (added_ || !options_.add_known) return absl::OkStatus();
  const absl::Status added = options_.add_known();
  added_ = added.ok();
  return added;
}

absl::Duration ObjectMover::Tick() {
  const absl::Duration now = with_.clock->Elapsed();
  if (now < paused_until_) {
    Report();
    return paused_until_ - now;
  }
  absl::Status status = Prepare();
  if (status.ok()) status = MoveDue();
  Report();
  if (absl::IsCancelled(status)) return absl::InfiniteDuration();
  if (!status.ok()) return Pause(status);
  if (failures_ > 0) {
    options_.log(absl::StrCat("The object store ", with_.client->options().Location(),
                              " can be used again."));
  }
  failures_ = 0;
  return UntilNext();
}

absl::Status ObjectMover::MoveDue() {
  const auto due = with_.list->DueObjects(with_.clock->Now(), kAtOnce);
  if (!due.ok()) return due.status();
  for (const jobs::ObjectRecord& record : *due) {
    if (auto status = Move(record); !status.ok()) return status;
    Report();
  }
  return absl::OkStatus();
}

absl::Status ObjectMover::Move(const jobs::ObjectRecord& record) {
  const bool doomed = record.state == jobs::ObjectRecord::State::kDoomed;
  const absl::Status moved = doomed ? Remove(record) : Upload(record);
  if (moved.ok() || absl::IsCancelled(moved)) return moved;
  const absl::Duration pause = PauseAfter(record.tries, absl::Hours(1));
  const absl::Status postponed = with_.list->PostponeObject(record, with_.clock->Now() + pause);
  if (!postponed.ok() || absl::IsUnavailable(moved)) return postponed.ok() ? moved : postponed;
  options_.log(
      absl::StrCat(with_.client->options().Uri(record.key), " could not be ",
                   doomed ? "removed: " : "uploaded: ", absl::StripSuffix(moved.message(), "."),
                   "; the next try is in ", absl::FormatDuration(pause), "."));
  return absl::OkStatus();
}

absl::Status ObjectMover::Upload(const jobs::ObjectRecord& record) {
  jobs::ObjectRecord kept = record;
  const auto stored = with_.transfer->Upload(record, with_.cache->PathOf(record.path),
                                             [&](const std::string& upload) {
                                               kept.upload = upload;
                                               return with_.list->KeepUpload(kept);
                                             });
  if (absl::IsCancelled(stored.status())) return stored.status();
  with_.observer->Worked(ObjectWork::kUpload, stored.ok(), stored.ok() ? stored->size_bytes : 0);
  return stored.ok() ? with_.list->ObjectStored(*stored, with_.clock->Now()) : stored.status();
}

absl::Status ObjectMover::Remove(const jobs::ObjectRecord& record) {
  const absl::Status removed = with_.transfer->Remove(record);
  if (absl::IsCancelled(removed)) return removed;
  with_.observer->Worked(ObjectWork::kRemoval, removed.ok(), 0);
  return removed.ok() ? with_.list->RemoveObject(record) : removed;
}

absl::Duration ObjectMover::Pause(const absl::Status& why) {
  if (failures_ == 0) {
    options_.log(absl::StrCat("The object store ", with_.client->options().Location(),
                              " cannot be used: ", absl::StripSuffix(why.message(), "."),
                              ". What is to be stored there waits, and is tried again."));
  }
  const absl::Duration pause = std::max(PauseAfter(failures_, absl::Minutes(1)), RetryAfter(why));
  failures_ = std::min(failures_ + 1, 100);
  paused_until_ = with_.clock->Elapsed() + pause;
  return pause;
}

absl::Duration ObjectMover::UntilNext() {
  const auto next = with_.list->NextObjectDue();
  if (!next.ok()) return kAfterListFailure;
  return std::clamp(*next - with_.clock->Now(), absl::ZeroDuration(), kLongestWait);
}

void ObjectMover::Report() {
  if (const auto totals = with_.list->PendingObjects(); totals.ok()) {
    with_.observer->Pending(totals->pending, totals->pending_bytes);
  }
  const absl::Duration now = with_.clock->Elapsed();
  if (now < trimmed_ + kTrimPause) return;
  trimmed_ = now;
  if (const auto bytes = with_.cache->Trim(); bytes.ok()) with_.observer->Cached(*bytes);
}

}  // namespace atelier::objects
