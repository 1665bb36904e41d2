// The worker's log on its way to the server, for a worker whose output nobody keeps.
#ifndef ATELIER_SERVER_WORKER_LOG_BUFFER_H_
#define ATELIER_SERVER_WORKER_LOG_BUFFER_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "spdlog/sinks/base_sink.h"

namespace atelier::worker {

// Thread-safe. What cannot be sent in time is left out, and a line says how much that was, so that
// training never waits for it.
class LogBuffer final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // Bytes that wait to be sent.
  static constexpr std::size_t kMost = std::size_t{256} << 10;

  // Bytes the whole log may have; a line that would go beyond is left out.
  explicit LogBuffer(std::int64_t max_bytes) : max_bytes_(max_bytes) {}

  struct Piece {
    std::int64_t offset = 0;  // Of the log.
    std::string text;
  };
  // What is to be sent next; empty if there is nothing.
  Piece Next() const;
  // The server's log has so many bytes. The first call says where this one begins.
  void Acknowledge(std::int64_t received);

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  const std::int64_t max_bytes_;
  mutable absl::Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
  std::int64_t offset_ ABSL_GUARDED_BY(mutex_) = 0;  // Of the text's first byte.
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
  std::int64_t total_ ABSL_GUARDED_BY(mutex_) = 0;
  std::int64_t left_out_ ABSL_GUARDED_BY(mutex_) = 0;  // Lines, since the last that was taken.
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_LOG_BUFFER_H_
