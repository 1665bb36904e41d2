// Where the server's log goes: lines to a file descriptor, which may be a pipe whose reader is slow
// or stuck.
#ifndef ATELIER_SERVER_LOG_OUTPUT_H_
#define ATELIER_SERVER_LOG_OUTPUT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

#include "absl/strings/string_view.h"
#include "spdlog/sinks/base_sink.h"

namespace atelier::server {

// Thread-safe. Waits for the reader, so only a thread of the log's own may write here; but it ends
// a second after EndSoon, whatever the reader does. What was dropped before it came here is told of
// as soon as there is a reader again.
class LogOutput final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  // `dropped` is how many lines were dropped so far. Not owned: `fd`.
  LogOutput(int fd, std::function<std::uint64_t()> dropped)
      : fd_(fd), dropped_(std::move(dropped)) {}

  // What is not written within a second is left out.
  void EndSoon();

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

 private:
  using Clock = std::chrono::steady_clock;

  void TellOfDropped(const spdlog::details::log_msg& before);
  void Write(absl::string_view text);
  // False if what is left must be left out.
  bool AwaitReader() const;

  const int fd_;
  const std::function<std::uint64_t()> dropped_;
  std::uint64_t told_ = 0;  // Of those dropped; under the sink's lock.
  std::atomic<Clock::time_point> end_{Clock::time_point::max()};
};

}  // namespace atelier::server

#endif  // ATELIER_SERVER_LOG_OUTPUT_H_
