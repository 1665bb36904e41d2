// Keeps the TensorBoard log of every job: one event file in a folder of the job's own, written from
// the stored events, so that it holds what StreamMetrics would replay whatever became of worker or
// server meanwhile.
//
// The file of a job that runs is appended to every few seconds. After a restart of the server, and
// when shown progress was withdrawn, a further file with everything takes its place, whose name
// comes behind the old one's, which stays as an empty file: a TensorBoard that runs goes on with
// the new one, and drops what it has at the start of the session that it begins with. Once the file
// holds the job's end it is synced, and an empty file `complete` beside it says so.
#ifndef ATELIER_SERVER_TENSORBOARD_EVENT_FILES_H_
#define ATELIER_SERVER_TENSORBOARD_EVENT_FILES_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/mutex.h"
#include "server/base/system_clock.h"
#include "server/base/tick_thread.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/event_log.h"
#include "server/jobs/job_observer.h"
#include "server/jobs/job_store.h"
#include "server/tensorboard/summaries.h"

namespace atelier::tensorboard {

// A file and how much of it is whole records; what is appended later changes nothing of that.
struct EventFile {
  std::string path;
  std::int64_t bytes = 0;
};

// Thread-safe; a thread of its own writes. Locks: writing_, then changed_mutex_ or one of the
// stores.
class EventFiles final : public jobs::JobObserver {
 public:
  struct Options {
    // Pause between two looks at what changed.
    absl::Duration pause = absl::Seconds(2);
    // Pause after a failure, such as a full disk.
    absl::Duration retry_delay = absl::Seconds(30);
    // Draws the filters of the model version that a result names. May be empty.
    std::function<absl::StatusOr<Picture>(const std::string& model_version)> draw_filters;
    // Told one sentence about each failure. May be empty.
    std::function<void(const std::string& sentence)> log;
  };

  // All must outlive the files; none may be null.
  struct Dependencies {
    jobs::JobStore* store;
    jobs::EventLog* events;
    jobs::ArtifactStore* artifacts;
  };

  EventFiles(Options options, Dependencies dependencies);

  // The job's file with everything that is stored of the job now. NOT_FOUND (JOB_NOT_FOUND);
  // RESOURCE_EXHAUSTED on a full disk; INTERNAL. Waits for the disk.
  absl::StatusOr<EventFile> Update(const std::string& job_id);

  void Stored(const jobs::JobRecord& record, const std::vector<v1::JobEvent>& events) override;
  void Deleted(const jobs::JobRecord& record) override;

 private:
  // How far the file of a job that has not ended is written.
  struct Written {
    std::int64_t position = 0;       // Number of the last event that was looked at.
    std::int64_t last_progress = 0;  // Number of the last event in it that can be withdrawn.
    std::int64_t rewound = 0;        // Number of the last event that withdrew something from it.
    EventFile file;
  };

  absl::Duration Tick();
  // Writes a job's file and remembers whether that failed.
  void WriteNow(const std::string& job_id);
  // Writes the files of the next few ended jobs that are not complete, for the server ended before
  // they were.
  void LookBack();
  absl::Status Remove(const std::string& job_id);

  // Brings the file up to what is stored; `written` says how far it is and goes along. True if it
  // now holds the job's end. ABORTED if what is written was withdrawn.
  absl::StatusOr<bool> Append(const jobs::JobRecord& record, Written* written);
  absl::StatusOr<EventFile> Write(const jobs::JobRecord& record)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(writing_);
  std::string Serialize(const jobs::JobRecord& record, const v1::JobEvent& event) const;
  void Log(const std::string& sentence) const;
  std::vector<Picture> Draw(const std::string& job_id, const v1::TrainingResult& result) const;

  const Options options_;
  const Dependencies with_;

  const SystemClock clock_;

  // Held while files are written.
  Mutex writing_;
  std::map<std::string, Written> written_ ABSL_GUARDED_BY(writing_);

  Mutex changed_mutex_ ABSL_ACQUIRED_AFTER(writing_);
  std::set<std::string> changed_ ABSL_GUARDED_BY(changed_mutex_);  // Ids of jobs.
  std::set<std::string> deleted_ ABSL_GUARDED_BY(changed_mutex_);

  // The thread's own.
  jobs::JobQuery look_back_;  // For the next ones.
  bool looked_back_ = false;
  std::set<std::string> failing_;  // Ids of the jobs whose files could not be written.

  // Last: it ends before what it uses.
  TickThread thread_;
};

}  // namespace atelier::tensorboard

#endif  // ATELIER_SERVER_TENSORBOARD_EVENT_FILES_H_
