// Where a process of an attempt works: the assignment's own folders where it sees the server's data
// directory, else copies on its machine; with walls around it.
#ifndef ATELIER_SERVER_WORKER_WORKPLACE_H_
#define ATELIER_SERVER_WORKER_WORKPLACE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/stop_signal.h"
#include "server/base/worker_exit_code.h"
#include "server/worker/file_line.h"
#include "server/worker/node_cache.h"
#include "server/worker/node_work.h"
#include "server/worker/server_channel.h"

namespace atelier::worker {

// How a process ends whose files could not be made ready, as Workplace::Prepare says it, and that
// is one of `ranks`; nothing where the attempt's last event says why.
inline std::optional<ExitCode> EndUnprepared(const absl::Status& ready, int ranks) {
  if (absl::IsUnknown(ready)) return kDiskFailed;
  // It has to begin with what earlier attempts left, or not at all.
  if (absl::IsUnavailable(ready) || absl::IsInternal(ready)) return kNotFetched;
  // Of several none says alone that it was suspended.
  if (absl::IsCancelled(ready) && ranks > 1) return kRankLost;
  return std::nullopt;
}

// How far a process walls itself in.
inline constexpr char kSandboxAsThereIs[] = "best_effort";
inline constexpr char kSandboxRequired[] = "required";
inline constexpr char kNoSandbox[] = "off";

// Belongs to one thread, but for Remove.
class Workplace {
 public:
  struct Options {
    ServerLine server;
    std::string name;  // Of the folder for copies, unlike that of any other process.
    std::string sandboxing = kSandboxAsThereIs;
    std::string cache_dir = {};  // For copies; empty: the data directory is seen.
    std::int64_t cache_bytes = 0;
    const models::StopSignal* stop = nullptr;  // Ends waiting.
  };

  explicit Workplace(Options options) : options_(std::move(options)) {}

  // Makes the assignment one of this machine's own, where it is not yet. Errors as FetchAssignment.
  absl::Status Prepare(v1::Assignment* assignment, FileLine* line);
  // What the last Prepare found.
  bool sees_data_directory() const { return sees_; }

  // Before anything is read that others made. An error where the job must not go on without.
  absl::Status WallIn(const v1::Assignment& assignment);

  // Removes the copies but for data sets; to be called by any thread whose process ends otherwise
  // than by the destructor.
  void Remove() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Status Fetch(v1::Assignment* assignment, FileLine* line);

  const Options options_;
  bool sees_ = true;
  std::optional<NodeCache::Held> dataset_;
  absl::Mutex mutex_;
  std::unique_ptr<NodeWork> work_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_WORKPLACE_H_
