#include "server/objects/object_fetcher.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace atelier::objects {
namespace {

// For so long after a failure nobody waits for another one.
constexpr absl::Duration kRetryPause = absl::Seconds(5);

}  // namespace

absl::StatusOr<bool> ObjectFetcher::Bring(const std::string& path) {
  if (with_.cache->Use(path)) return true;
  const auto record = with_.list->FindObject(path);
  // Whoever opens it will say that it is not there.
  if (absl::IsNotFound(record.status())) return true;
  if (!record.ok()) return record.status();
  if (record->state != jobs::ObjectRecord::State::kStored) return true;
  MutexLock lock(&mutex_);
  return Begin(*record);
}

absl::StatusOr<bool> ObjectFetcher::Begin(const jobs::ObjectRecord& record) {
  const auto [fetching, is_new] = fetching_.try_emplace(record.path);
  if (!is_new && fetching->second.running) return false;
  if (!is_new && with_.clock->Elapsed() < fetching->second.retry_at) {
    return fetching->second.failure;
  }
  fetching->second.running = true;
  if (tasks_.TryAdd([this, record] { Run(record); })) return false;
  fetching_.erase(fetching);
  return absl::UnavailableError("Too many files are being brought back from the object store.");
}

void ObjectFetcher::Run(const jobs::ObjectRecord& record) {
  const std::string file = with_.cache->PathOf(record.path);
  const absl::Status status = with_.transfer->Fetch(record, file);
  with_.observer->Worked(ObjectWork::kFetch, status.ok(), record.size_bytes);
  if (status.ok() && !with_.list->FindObject(record.path).ok()) {
    unlink(file.c_str());  // Deleted meanwhile.
  }
  if (status.ok()) with_.cache->Use(record.path);
  MutexLock lock(&mutex_);
  if (status.ok()) {
    fetching_.erase(record.path);
  } else {
    fetching_[record.path] = {
        .running = false,
        .failure = absl::UnavailableError(absl::StrCat(
            "It cannot be brought back from the object store: ", status.message(), ".")),
        .retry_at = with_.clock->Elapsed() + kRetryPause};
  }
  ended_.NotifyAll();
}

absl::Status ObjectFetcher::Fetch(const std::string& path) {
  while (true) {
    const auto there = Bring(path);
    if (!there.ok()) return there.status();
    if (*there) return absl::OkStatus();
    MutexLock lock(&mutex_);
    while (fetching_.contains(path) && fetching_[path].running) ended_.Wait(&mutex_);
  }
}

}  // namespace atelier::objects
