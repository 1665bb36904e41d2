// What an attempt leaves on a machine that does not see the server's data directory: checkpoints,
// folds, the archive or data set that it makes, and its log. An event that tells of a file goes to
// the server when the server has stored the file.
#ifndef ATELIER_SERVER_WORKER_FILE_SENDER_H_
#define ATELIER_SERVER_WORKER_FILE_SENDER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/worker/file_line.h"
#include "server/worker/log_buffer.h"

namespace atelier::worker {

// Thread-safe. A thread of its own sends checkpoints while the training goes on; of those that wait
// only the newest is sent, and its event alone. One that the server cannot store is tried again as
// long as it is the newest. `sending_mutex_` is taken before `mutex_`.
class FileSender {
 public:
  struct Options {
    // Takes the events, in order but for checkpoints, which come when they are stored.
    std::function<void(v1::WorkerEvent)> report;
    // Is called instead with the attempt's last event if this machine's disk fails or is full, so
    // that another attempt may do better elsewhere.
    std::function<void(const absl::Status&)> disk_failed;
    absl::Duration log_interval = absl::Seconds(1);
  };

  // Both must live as long.
  FileSender(Options options, FileLine* line, LogBuffer* log);
  // Gives up what was not sent, once the line is.
  ~FileSender();
  FileSender(const FileSender&) = delete;
  FileSender& operator=(const FileSender&) = delete;

  // Until it knows the attempt's folder on this machine it sends nothing but the log, which is all
  // there is to send where the server sees the folder.
  void SendFrom(std::string attempt_dir) ABSL_LOCKS_EXCLUDED(mutex_);

  // What is in the log by now. Waits for the server to take it.
  void SendLog() ABSL_LOCKS_EXCLUDED(sending_mutex_);

  // What of checkpoints and folds is still to be sent. Waits for the server to take it.
  absl::Status SendCheckpoints() ABSL_LOCKS_EXCLUDED(sending_mutex_);

  // Passes an event on. Waits where it is the attempt's last until the server has all that it has
  // to have before; if that cannot be, the attempt fails instead, or ends without its last event.
  void Report(v1::WorkerEvent event);

 private:
  // A checkpoint that waits. The descriptor holds it when the training removes it meanwhile.
  struct Waiting {
    int descriptor;
    v1::WorkerEvent event;
  };

  void Run();
  // What has to be there before the attempt's last event.
  absl::Status Deliver(const v1::WorkerEvent& last);
  void Offer(v1::WorkerEvent event);
  std::optional<Waiting> TakeWaiting();
  // Has a checkpoint wait again that could not be sent; false if a newer one waits.
  bool PutBack(Waiting* checkpoint);
  absl::Status SendCheckpoint() ABSL_LOCKS_EXCLUDED(sending_mutex_);
  absl::Status SendFolds() ABSL_LOCKS_EXCLUDED(sending_mutex_);
  absl::Status SendOnly(v1::FileKind kind, const char* name) ABSL_LOCKS_EXCLUDED(sending_mutex_);
  absl::Status SendFile(v1::FileKind kind, std::int64_t number, const std::string& path)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(sending_mutex_);
  std::string attempt_dir() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Constant after construction.
  const Options options_;
  FileLine* const line_;
  LogBuffer* const log_;

  // One file at a time.
  absl::Mutex sending_mutex_;
  std::set<std::int64_t> sent_folds_ ABSL_GUARDED_BY(sending_mutex_);
  bool log_begun_ ABSL_GUARDED_BY(sending_mutex_) = false;
  bool log_ended_ ABSL_GUARDED_BY(sending_mutex_) = false;

  mutable absl::Mutex mutex_;
  std::string attempt_dir_ ABSL_GUARDED_BY(mutex_);
  std::optional<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_FILE_SENDER_H_
