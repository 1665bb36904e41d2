#include "server/tensorboard/event_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "models/tiled_picture.h"
#include "server/jobs/job_state.h"
#include "server/tensorboard/records.h"

namespace atelier::tensorboard {
namespace {

namespace fs = std::filesystem;

constexpr char kCompleteMark[] = "complete";
// Pixels along the edge of a cell of the confusion matrix.
constexpr int kCellPixels = 16;
constexpr int kJobsAtOnce = 500;

absl::Status FileFailure(absl::string_view what, const std::string& path) {
  const std::string message =
      absl::StrCat(path, " cannot be ", what, ": ", std::strerror(errno), ".");
  if (errno == ENOSPC || errno == EDQUOT) return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

// Writes bytes at a place of a file, which ends after them.
absl::Status WriteAt(const std::string& path, std::int64_t offset, absl::string_view bytes) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) return FileFailure("made", path);
  const auto close_file = absl::MakeCleanup([file] { close(file); });
  while (!bytes.empty()) {
    const ssize_t wrote = pwrite(file, bytes.data(), bytes.size(), offset);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return FileFailure("written", path);
    bytes.remove_prefix(static_cast<std::size_t>(wrote));
    offset += wrote;
  }
  if (ftruncate(file, offset) != 0) return FileFailure("written", path);
  return absl::OkStatus();
}

absl::Status Sync(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return FileFailure("opened", path);
  const auto close_file = absl::MakeCleanup([file] { close(file); });
  if (fsync(file) != 0) return FileFailure("written", path);
  return absl::OkStatus();
}

// The file is whole and stays as it is; the mark is durable only after the file.
absl::Status MarkComplete(const fs::path& path) {
  if (absl::Status status = Sync(path); !status.ok()) return status;
  if (absl::Status status = Sync(path.parent_path()); !status.ok()) return status;
  return WriteAt(path.parent_path() / kCompleteMark, 0, "");
}

// Of a file that is there and complete.
std::optional<std::int64_t> CompleteSize(const fs::path& path) {
  std::error_code error;
  if (!fs::exists(path.parent_path() / kCompleteMark, error)) return std::nullopt;
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) return std::nullopt;
  return static_cast<std::int64_t>(size);
}

std::string SerializeAll(const std::vector<Event>& events) {
  std::string bytes;
  for (const Event& event : events) AppendRecord(event.SerializeAsString(), &bytes);
  return bytes;
}

// The shares of every true class's images, a cell each: black is none of them, white the most.
absl::StatusOr<Picture> DrawConfusion(const v1::ConfusionMatrix& matrix) {
  std::vector<float> shares;
  for (const v1::ConfusionRow& row : matrix.rows()) {
    std::int64_t images = 0;
    for (const std::int64_t count : row.counts()) images += count;
    for (const std::int64_t count : row.counts()) {
      shares.push_back(static_cast<float>(count) /
                       static_cast<float>(std::max<std::int64_t>(images, 1)));
    }
  }
  const std::int64_t classes = matrix.rows_size();
  if (classes == 0 || static_cast<std::int64_t>(shares.size()) != classes * classes) {
    return absl::InternalError("The confusion matrix is not square.");
  }
  auto drawn = models::DrawTiles(shares, classes, classes, {.zoom = kCellPixels});
  if (!drawn.ok()) return drawn.status();
  return Picture{"confusion_matrix", drawn->layout.picture_height(), drawn->layout.picture_width(),
                 std::move(drawn->png)};
}

std::string PathOf(const jobs::ArtifactStore& artifacts, const jobs::JobRecord& record) {
  // What TensorBoard looks for is `tfevents`, then a time.
  return absl::StrCat(artifacts.TensorboardDir(record.id), "/events.out.tfevents.",
                      record.job.create_time().seconds(), ".atelier");
}

}  // namespace

EventFiles::EventFiles(Options options, Dependencies dependencies)
    : options_(std::move(options)),
      with_(dependencies),
      thread_({.name = "tensorboard", .pause = options_.pause}, [this] { return Tick(); }) {}

void EventFiles::Began(const jobs::JobCounts& stored) {
  if (with_.next != nullptr) with_.next->Began(stored);
}

void EventFiles::Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) {
  if (with_.next != nullptr) with_.next->Stored(record, events);
  {
    jobs::MutexLock lock(&changed_mutex_);
    changed_.insert(record.id);
  }
  thread_.kick()();
}

void EventFiles::NotStarted(const jobs::JobRecord& record, const std::string& why) {
  if (with_.next != nullptr) with_.next->NotStarted(record, why);
}

void EventFiles::Deleted(const jobs::JobRecord& record) {
  if (with_.next != nullptr) with_.next->Deleted(record);
  {
    jobs::MutexLock lock(&changed_mutex_);
    deleted_.insert(record.id);
  }
  thread_.kick()();
}

absl::StatusOr<EventFile> EventFiles::Update(const std::string& job_id) {
  jobs::MutexLock lock(&writing_);
  const auto record = with_.store->Load(job_id);
  if (!record.ok()) return record.status();
  const std::string path = PathOf(*with_.artifacts, *record);
  if (const auto size = CompleteSize(path); size.has_value()) return EventFile{path, *size};
  const auto bytes = Write(*record, path);
  if (!bytes.ok()) {
    // What is there now is not known.
    written_.erase(job_id);
    return bytes.status();
  }
  return EventFile{path, *bytes};
}

absl::StatusOr<std::int64_t> EventFiles::Write(const jobs::JobRecord& record,
                                               const std::string& path) {
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  fs::create_directories(folder, error);
  if (error) {
    return absl::InternalError(absl::StrCat(folder.string(), " cannot be made: ", error.message()));
  }
  Written written = written_[record.id];
  // Whoever reads the file meanwhile keeps the one that was.
  const std::string fresh = (folder / "new").string();
  while (true) {
    const bool anew = written.bytes == 0;
    if (!anew && fs::file_size(path, error) != static_cast<std::uintmax_t>(written.bytes)) {
      written = {};
      continue;
    }
    const auto ended = Append(record, anew ? fresh : path, &written);
    if (absl::IsAborted(ended.status())) {
      written = {};
      continue;
    }
    if (!ended.ok()) return ended.status();
    if (anew && rename(fresh.c_str(), path.c_str()) != 0) return FileFailure("renamed", fresh);
    if (*ended) {
      if (absl::Status status = MarkComplete(path); !status.ok()) return status;
      written_.erase(record.id);
    } else {
      written_[record.id] = written;
    }
    return written.bytes;
  }
}

absl::StatusOr<bool> EventFiles::Append(const jobs::JobRecord& record, const std::string& path,
                                        Written* written) {
  while (true) {
    const auto page = with_.events->Read(record.id, written->position, 0, /*epochs_only=*/false);
    if (!page.ok()) return page.status();
    std::string bytes = written->bytes == 0 ? SerializeAll(Heading(record.job)) : "";
    for (const auto& event : page->events) {
      if (event->has_rewound() && event->rewound().first_withdrawn() <= written->last_progress) {
        return absl::AbortedError("What was written is withdrawn.");
      }
      if (jobs::IsWithdrawable(*event)) written->last_progress = event->number();
      absl::StrAppend(&bytes, Serialize(record, *event));
    }
    if (!bytes.empty()) {
      if (auto status = WriteAt(path, written->bytes, bytes); !status.ok()) return status;
    }
    written->bytes += static_cast<std::int64_t>(bytes.size());
    written->position = page->position;
    if (!page->events.empty()) continue;
    // By the record, which was read first: the log of events learns of the end a moment later.
    return jobs::IsTerminal(record.job.state()) && written->position >= record.last_event;
  }
}

std::string EventFiles::Serialize(const jobs::JobRecord& record, const v1::JobEvent& event) const {
  return SerializeAll(Summarize(
      event, event.has_result() ? Draw(record.id, event.result()) : std::vector<Picture>()));
}

// What cannot be drawn is left out: a model without convolutions, or one that was deleted.
std::vector<Picture> EventFiles::Draw(const std::string& job_id,
                                      const v1::TrainingResult& result) const {
  std::vector<Picture> pictures;
  if (const auto matrix = with_.store->ReadConfusionMatrix(job_id); matrix.ok()) {
    auto picture = DrawConfusion(*matrix);
    if (picture.ok()) pictures.push_back(*std::move(picture));
  }
  if (options_.draw_filters && !result.model_version().empty()) {
    auto picture = options_.draw_filters(result.model_version());
    if (picture.ok()) pictures.push_back(*std::move(picture));
  }
  return pictures;
}

absl::Duration EventFiles::Tick() {
  std::set<std::string> changed, deleted;
  {
    jobs::MutexLock lock(&changed_mutex_);
    changed.swap(changed_);
    deleted.swap(deleted_);
  }
  if (!std::exchange(looked_back_, true)) AddIncomplete(&changed);
  // Those that failed are tried again with whatever comes next, but told of once.
  changed.insert(failing_.begin(), failing_.end());
  std::set<std::string> failed;
  for (const std::string& id : changed) {
    const absl::Status status = Update(id).status();
    if (status.ok() || absl::IsNotFound(status)) continue;
    failed.insert(id);
    if (failing_.count(id) > 0) continue;
    Log(absl::StrCat("The TensorBoard log of job ", id, " cannot be written: ", status.message()));
  }
  failing_.swap(failed);
  for (const std::string& id : deleted) {
    const absl::Status status = Remove(id);
    if (!status.ok()) Log(std::string(status.message()));
  }
  return failing_.empty() ? absl::InfiniteDuration() : options_.retry_delay;
}

void EventFiles::AddIncomplete(std::set<std::string>* ids) const {
  jobs::JobQuery query{
      .page_size = kJobsAtOnce,
      .states = {v1::JOB_STATE_COMPLETED, v1::JOB_STATE_FAILED, v1::JOB_STATE_STOPPED}};
  do {
    const auto page = with_.store->List(query);
    if (!page.ok()) return Log(std::string(page.status().message()));
    for (const jobs::JobRecord& record : page->records) {
      if (CompleteSize(PathOf(*with_.artifacts, record)).has_value()) continue;
      ids->insert(record.id);
    }
    query.page_token = page->next_page_token;
  } while (!query.page_token.empty());
}

void EventFiles::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

// The job's files went before the job did, so that some may have been written in between.
absl::Status EventFiles::Remove(const std::string& job_id) {
  jobs::MutexLock lock(&writing_);
  written_.erase(job_id);
  return with_.artifacts->RemoveJob(job_id);
}

}  // namespace atelier::tensorboard
