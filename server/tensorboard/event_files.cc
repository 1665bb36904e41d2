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
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "models/files/file_io.h"
#include "server/jobs/job_state.h"
#include "server/tensorboard/confusion_picture.h"
#include "server/tensorboard/records.h"

namespace atelier::tensorboard {
namespace {

namespace fs = std::filesystem;

constexpr char kCompleteMark[] = "complete";
constexpr int kJobsAtOnce = 20;
// Files without content that may lie before the one that has it.
constexpr int kEmptied = 10;

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
  if (lseek(file, offset, SEEK_SET) < 0 || !models::WriteAll(file, bytes) ||
      ftruncate(file, offset + static_cast<std::int64_t>(bytes.size())) != 0) {
    return FileFailure("written", path);
  }
  return absl::OkStatus();
}

absl::Status Sync(const std::string& path) {
  return models::SyncPath(path) ? absl::OkStatus() : FileFailure("synced", path);
}

// The file is whole and stays as it is; the mark is durable only after the file.
absl::Status MarkComplete(const fs::path& path) {
  if (absl::Status status = Sync(path); !status.ok()) return status;
  if (absl::Status status = Sync(path.parent_path()); !status.ok()) return status;
  return WriteAt(path.parent_path() / kCompleteMark, 0, "");
}

std::string SerializeAll(const std::vector<Event>& events) {
  std::string bytes;
  for (const Event& event : events) AppendRecord(event.SerializeAsString(), &bytes);
  return bytes;
}

// The files of a job: `stem`, then `stem.000001` and so on, each of which replaces those before it.
struct Place {
  fs::path folder;
  std::string stem;

  std::string Name(int generation) const {
    return (folder / (generation == 0 ? stem : absl::StrFormat("%s.%06d", stem, generation)))
        .string();
  }
  // All there are, in no order.
  std::vector<int> Generations() const {
    std::vector<int> found;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
         entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      int generation = 0;
      if (name == stem || (absl::StartsWith(name, stem + ".") &&
                           absl::SimpleAtoi(name.substr(stem.size() + 1), &generation))) {
        found.push_back(generation);
      }
    }
    return found;
  }
  // The newest; nothing if there is none.
  std::optional<int> Newest() const {
    const std::vector<int> all = Generations();
    if (all.empty()) return std::nullopt;
    return *std::max_element(all.begin(), all.end());
  }
  // A TensorBoard that reads a file by its name goes on with the next one only while that name is
  // there, so the newest of the old ones stay, but empty. A reader that has one open keeps its
  // contents.
  void EmptyAllBefore(int kept) const {
    const std::string empty = (folder / "empty").string();
    std::error_code ignored;
    for (const int generation : Generations()) {
      const std::string name = Name(generation);
      if (generation >= kept || fs::file_size(name, ignored) == 0) continue;
      if (WriteAt(empty, 0, "").ok()) fs::rename(empty, name, ignored);
    }
    if (kept > kEmptied) fs::remove(Name(kept - kEmptied - 1), ignored);
  }
};

Place PlaceOf(const jobs::ArtifactStore& artifacts, const jobs::JobRecord& record) {
  // What TensorBoard looks for is `tfevents`, then a time.
  return {artifacts.TensorboardDir(record.id),
          absl::StrCat("events.out.tfevents.", record.job.create_time().seconds(), ".atelier")};
}

// The job's file, if it is there and complete.
std::optional<EventFile> CompleteFile(const Place& place) {
  std::error_code error;
  if (!fs::exists(place.folder / kCompleteMark, error)) return std::nullopt;
  const auto newest = place.Newest();
  if (!newest.has_value()) return std::nullopt;
  const std::string path = place.Name(*newest);
  const std::uintmax_t size = fs::file_size(path, error);
  if (error) return std::nullopt;
  return EventFile{path, static_cast<std::int64_t>(size)};
}

// Gives a file that was written anew the name after the newest one's, and empties those before it.
absl::Status Replace(const Place& place, EventFile* file) {
  const auto newest = place.Newest();
  const int generation = newest.has_value() ? *newest + 1 : 0;
  const std::string name = place.Name(generation);
  if (rename(file->path.c_str(), name.c_str()) != 0) return FileFailure("renamed", file->path);
  file->path = name;
  place.EmptyAllBefore(generation);
  return absl::OkStatus();
}

}  // namespace

EventFiles::EventFiles(Options options, Dependencies dependencies)
    : options_(std::move(options)),
      with_(dependencies),
      look_back_{.page_size = kJobsAtOnce,
                 .states = {v1::JOB_STATE_COMPLETED, v1::JOB_STATE_FAILED, v1::JOB_STATE_STOPPED}},
      thread_({.name = "tensorboard", .pause = options_.pause}, [this] { return Tick(); }) {}

void EventFiles::Stored(const jobs::JobRecord& record,
                        const std::vector<v1::JobEvent>& /*events*/) {
  if (!record.job.has_spec()) return;  // No training.
  {
    MutexLock lock(&changed_mutex_);
    changed_.insert(record.id);
  }
  thread_.kick()();
}

void EventFiles::Deleted(const jobs::JobRecord& record) {
  {
    MutexLock lock(&changed_mutex_);
    deleted_.insert(record.id);
  }
  thread_.kick()();
}

absl::StatusOr<EventFile> EventFiles::Update(const std::string& job_id) {
  MutexLock lock(&writing_);
  const auto record = with_.store->Load(job_id);
  if (!record.ok()) return record.status();
  if (auto file = CompleteFile(PlaceOf(*with_.artifacts, *record)); file.has_value()) return *file;
  auto file = Write(*record);
  // What is there now is not known.
  if (!file.ok()) written_.erase(job_id);
  return file;
}

absl::StatusOr<EventFile> EventFiles::Write(const jobs::JobRecord& record) {
  const Place place = PlaceOf(*with_.artifacts, record);
  std::error_code error;
  fs::create_directories(place.folder, error);
  if (error) {
    return absl::InternalError(
        absl::StrCat(place.folder.string(), " cannot be made: ", error.message()));
  }
  Written written = written_[record.id];
  while (true) {
    const bool anew = written.file.bytes == 0;
    if (!anew && fs::file_size(written.file.path, error) !=
                     static_cast<std::uintmax_t>(written.file.bytes)) {
      written = {};
      continue;
    }
    // Under a name that TensorBoard does not read until it is whole.
    if (anew) written.file.path = (place.folder / "new").string();
    const auto ended = Append(record, &written);
    if (absl::IsAborted(ended.status())) {
      const std::int64_t rewound = written.rewound;
      written = {};
      written.rewound = rewound;
      continue;
    }
    if (!ended.ok()) return ended.status();
    if (anew) {
      if (auto status = Replace(place, &written.file); !status.ok()) return status;
    }
    if (*ended) {
      if (absl::Status status = MarkComplete(written.file.path); !status.ok()) return status;
      written_.erase(record.id);
    } else {
      written_[record.id] = written;
    }
    return written.file;
  }
}

absl::StatusOr<bool> EventFiles::Append(const jobs::JobRecord& record, Written* written) {
  while (true) {
    const auto page = with_.events->Read(record.id, written->position, 0, /*epochs_only=*/false);
    if (!page.ok()) return page.status();
    std::string bytes = written->file.bytes == 0 ? SerializeAll(Heading(record.job)) : "";
    for (const auto& event : page->events) {
      // What an event withdraws is not read a second time, unless the database is damaged.
      if (event->has_rewound() && event->number() > written->rewound &&
          event->rewound().first_withdrawn() <= written->last_progress) {
        written->rewound = event->number();
        return absl::AbortedError("What was written is withdrawn.");
      }
      if (jobs::IsWithdrawable(*event)) written->last_progress = event->number();
      absl::StrAppend(&bytes, Serialize(record, *event));
    }
    if (!bytes.empty()) {
      const absl::Status status = WriteAt(written->file.path, written->file.bytes, bytes);
      if (!status.ok()) return status;
    }
    written->file.bytes += static_cast<std::int64_t>(bytes.size());
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
    MutexLock lock(&changed_mutex_);
    changed.swap(changed_);
    deleted.swap(deleted_);
  }
  // Those that failed are tried again with whatever comes next.
  changed.merge(std::set<std::string>(failing_));
  for (const std::string& id : changed) WriteNow(id);
  for (const std::string& id : deleted) {
    const absl::Status status = Remove(id);
    if (!status.ok()) Log(std::string(status.message()));
  }
  // A part at a time, so that neither what changes waits for all of it nor the end of the server.
  const absl::Duration begin = clock_.Elapsed();
  while (!looked_back_ && failing_.empty()) {
    LookBack();
    if (clock_.Elapsed() - begin > options_.pause) break;
  }
  if (!failing_.empty()) return options_.retry_delay;
  return looked_back_ ? absl::InfiniteDuration() : absl::ZeroDuration();
}

void EventFiles::WriteNow(const std::string& job_id) {
  const absl::Status status = Update(job_id).status();
  if (status.ok() || absl::IsNotFound(status)) {
    failing_.erase(job_id);
  } else if (failing_.insert(job_id).second) {  // Told of once.
    Log(absl::StrCat("The TensorBoard log of job ", job_id,
                     " cannot be written: ", status.message()));
  }
}

void EventFiles::LookBack() {
  const auto page = with_.store->List(look_back_);
  looked_back_ = !page.ok() || page->next_page_token.empty();
  if (!page.ok()) return Log(std::string(page.status().message()));
  for (const jobs::JobRecord& record : page->records) {
    if (!record.job.has_spec()) continue;
    if (!CompleteFile(PlaceOf(*with_.artifacts, record)).has_value()) WriteNow(record.id);
  }
  look_back_.page_token = page->next_page_token;
}

void EventFiles::Log(const std::string& sentence) const {
  if (options_.log) options_.log(sentence);
}

// The job's files went before the job did, so that some may have been written in between.
absl::Status EventFiles::Remove(const std::string& job_id) {
  MutexLock lock(&writing_);
  written_.erase(job_id);
  return with_.artifacts->RemoveJob(job_id);
}

}  // namespace atelier::tensorboard
