// All server streams that are open: how many there may be, the threads that produce for them, and
// their end when the server stops.
#ifndef ATELIER_SERVER_RPC_STREAM_SET_H_
#define ATELIER_SERVER_RPC_STREAM_SET_H_

#include <cstddef>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/task_queue.h"
#include "server/rpc/call_memory.h"

namespace atelier::rpc {

// Thread-safe. Must outlive its streams.
class StreamSet {
 public:
  struct Options {
    int threads = 2;                 // That produce what streams send.
    std::size_t max_streams = 5000;  // Open at a time; more are refused.
    // What they send is counted in; null counts nothing. Must outlive the set.
    CallMemory* memory = nullptr;
    // A stream that has nothing to send says so this often: proxies end silent ones, most of them
    // after a minute.
    absl::Duration silence = absl::Seconds(20);
  };

  // One stream, as the set sees it.
  class Stream {
   public:
    virtual ~Stream() = default;
    // Ends the stream's call with `status` as soon as no write is in flight. Any thread, any time.
    virtual void End(const absl::Status& status) = 0;
  };

  explicit StreamSet(Options options);
  StreamSet(const StreamSet&) = delete;
  StreamSet& operator=(const StreamSet&) = delete;

  // Takes a stream in. RESOURCE_EXHAUSTED (TOO_MANY_STREAMS) when there are too many; the status
  // given to EndAll once that was called.
  absl::Status Add(const std::shared_ptr<Stream>& stream);
  void Remove(const Stream* stream);

  // Runs a task of a stream that was added. A stream has one task at a time, so there is always
  // room.
  void Post(std::function<void()> task);

  // Ends every stream with `status`, and those that are added later.
  void EndAll(const absl::Status& status);

  std::size_t size() const;

  CallMemory* memory() const { return memory_; }
  absl::Duration silence() const { return silence_; }

 private:
  const std::size_t max_streams_;
  CallMemory* const memory_;
  const absl::Duration silence_;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<const Stream*, std::weak_ptr<Stream>> streams_ ABSL_GUARDED_BY(mutex_);
  absl::Status ending_ ABSL_GUARDED_BY(mutex_);

  TaskQueue tasks_;  // Last: its threads end first.
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_STREAM_SET_H_
