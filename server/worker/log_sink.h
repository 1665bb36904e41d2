// The worker's log: lines to a file descriptor, until the file behind it has reached its size.
#ifndef ATELIER_SERVER_WORKER_LOG_SINK_H_
#define ATELIER_SERVER_WORKER_LOG_SINK_H_

#include <cstdint>
#include <mutex>

#include "spdlog/sinks/base_sink.h"

namespace atelier::worker {

// Thread-safe. Writes each line at once, unbuffered, so that none is lost when the process is
// killed. What libraries print to the same file counts too. A line that would go beyond the size is
// left out, after one that says so. A terminal or pipe has no size and no limit, but lines that it
// cannot take at once are left out and counted, so that training never waits for who reads the log.
class LogSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  LogSink(int fd, std::int64_t max_bytes) : fd_(fd), max_bytes_(max_bytes) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  void Write(const char* text, std::size_t size);

  const int fd_;
  const std::int64_t max_bytes_;
  bool full_ = false;
  std::int64_t unread_ = 0;  // Lines left out since the last one that was written.
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_LOG_SINK_H_
