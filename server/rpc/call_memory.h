// How much the messages of calls may take in memory: those of one connection, and of all together.
// Beyond it calls are refused, so that a client that sends without end, or does not read its
// answers, cannot make the server grow without end.
#ifndef ATELIER_SERVER_RPC_CALL_MEMORY_H_
#define ATELIER_SERVER_RPC_CALL_MEMORY_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_context.h"

namespace atelier::rpc {

// Thread-safe. Its mutex is a leaf.
class CallMemory {
 public:
  struct Options {
    std::int64_t connection_bytes = 128 << 20;  // Held for one connection.
    std::int64_t all_bytes = 512 << 20;         // Held for all connections together.
  };
  // A share up to this size is not counted: the number of calls bounds these, and most calls are
  // as small.
  static constexpr std::int64_t kUncounted = 16 << 10;

  class Share;

  explicit CallMemory(Options options) : options_(options) {}
  CallMemory(const CallMemory&) = delete;
  CallMemory& operator=(const CallMemory&) = delete;

  // Held at the moment.
  std::int64_t held() const;

 private:
  // RESOURCE_EXHAUSTED (TOO_MUCH_HELD), and nothing is changed, if `more` does not fit; what is
  // negative always does.
  absl::Status Change(const std::string& connection, std::int64_t more);

  const Options options_;
  mutable absl::Mutex mutex_;
  std::int64_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  // By peer; connections that hold nothing are left out.
  absl::flat_hash_map<std::string, std::int64_t> connections_ ABSL_GUARDED_BY(mutex_);
};

// What one call holds. Gives it back when it goes. Not thread-safe.
class CallMemory::Share {
 public:
  // Null for `memory` counts nothing. Both must outlive the share.
  Share(CallMemory* memory, const grpc::ServerContextBase* context)
      : memory_(memory), context_(context) {}
  ~Share() { Hold(0).IgnoreError(); }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

  // Holds `bytes` from now on in place of what it held. RESOURCE_EXHAUSTED (TOO_MUCH_HELD) if there
  // is no room for more; it then holds what it held.
  absl::Status Hold(std::int64_t bytes);

  // True if it holds anything that counts.
  bool holds() const { return held_ > 0; }

 private:
  CallMemory* const memory_;
  const grpc::ServerContextBase* const context_;
  std::string connection_;  // Known from the first byte on.
  std::int64_t held_ = 0;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CALL_MEMORY_H_
