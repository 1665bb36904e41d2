// The jobs' events as readers see them: replay from any number, then live, with nothing missed
// between the two and at the reader's own pace.
//
// The newest events of every job that has not ended are held once in memory, shared by all readers;
// older ones are read from the store in small pages. A reader is a position and nothing else, so a
// slow one costs nothing and delays nobody.
//
//   position = after_number
//   loop: page = Read(job, position, …); send page.events; position = page.position
//         if page.ended: done
//         if page.events is empty: Subscribe(job, position, wake); on nullopt or wake: read again
#ifndef ATELIER_SERVER_JOBS_EVENT_LOG_H_
#define ATELIER_SERVER_JOBS_EVENT_LOG_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/job.pb.h"
#include "server/base/mutex.h"
#include "server/jobs/job_store.h"

namespace atelier::jobs {

// True for the kinds that a Rewound withdraws: step, epoch, checkpoint, early stop.
bool IsWithdrawable(const v1::JobEvent& event);
// True for progress within an epoch and resource samples, which `epochs_only` leaves out.
bool IsSample(const v1::JobEvent& event);

// What a reader gets at once.
struct EventPage {
  std::vector<std::shared_ptr<const v1::JobEvent>> events;  // Oldest first.
  // Where to read on: the last event looked at, which may be one that was left out.
  std::int64_t position = 0;
  bool ended = false;  // The job has ended and nothing comes after `position`.
  // What the job waits for now, a sentence, which is not stored; and how often that has changed, 0
  // for never. Empty if it waits for nothing.
  std::string note = {};
  std::int64_t note_number = 0;
};

// Called without any lock held, by whichever thread stored the event; must not wait (post the work
// to a pool).
using WakeFunction = std::function<void()>;

// Wake-ups that are due; call all of them once no lock is held.
using WakeList = std::vector<WakeFunction>;

// Thread-safe. Locks: its own mutex, a leaf; the store is read without it.
class EventLog {
 public:
  struct Options {
    std::size_t tail_events = 512;  // Newest events kept in memory for each job that runs.
    int page_events = 256;          // Most that one Read answers with.
  };

  // `store` must live as long.
  EventLog(Options options, JobStore* store);

  // The next events with a number above `after`, at most `limit` (0: the log's own page size, which
  // is also the most). Empty if there are none yet. NOT_FOUND (JOB_NOT_FOUND).
  absl::StatusOr<EventPage> Read(absl::string_view job, std::int64_t after, int limit,
                                 bool epochs_only);

  // Calls `wake` exactly once, as soon as the job has an event with a number above `after`, a note
  // with one above `note`, or has ended; answers with an id for Unsubscribe. Nothing if that is so
  // already: `wake` is then never called and the reader reads again.
  std::optional<std::uint64_t> Subscribe(absl::string_view job, std::int64_t after,
                                         WakeFunction wake, std::int64_t note = INT64_MAX);

  // True: the wake-up was taken back and is never called. False: it was called, or is about to be.
  bool Unsubscribe(absl::string_view job, std::uint64_t id);

  // The rest is the controller's: it keeps the log in step with what it has stored.

  // Begins a job's tail: a new job (before it is stored, so that no reader finds it without one;
  // `last` is 0), or one that an earlier server left, whose newest event is `last`.
  void Open(absl::string_view job, std::int64_t last);
  // Adds stored, numbered events, after withdrawing from `withdraw_from` on.
  [[nodiscard]] WakeList Append(absl::string_view job, std::optional<std::int64_t> withdraw_from,
                                const std::vector<v1::JobEvent>& events);
  // What the job waits for has changed.
  [[nodiscard]] WakeList SetNote(absl::string_view job, const std::string& note);
  // The job has ended (its last event is appended), or was never stored.
  [[nodiscard]] WakeList Close(absl::string_view job);

 private:
  struct Tail {
    std::int64_t last = 0;  // Number of the newest event.
    std::string note;
    std::int64_t note_number = 0;
    std::int64_t floor = 0;  // Every event above this number that is not withdrawn is in `events`.
    std::deque<std::shared_ptr<const v1::JobEvent>> events;
    absl::flat_hash_map<std::uint64_t, WakeFunction> subscribers;
  };

  static WakeList TakeSubscribers(Tail* tail);
  EventPage ReadTail(const Tail& tail, std::int64_t after, int limit, bool epochs_only) const;
  absl::StatusOr<EventPage> ReadStore(absl::string_view job, std::int64_t after, int limit,
                                      bool epochs_only, std::optional<std::int64_t> last);

  const Options options_;
  JobStore* const store_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, Tail> tails_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t next_subscriber_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_EVENT_LOG_H_
