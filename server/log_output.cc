#include "server/log_output.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"

namespace atelier::server {
namespace {

// How often a wait for the reader looks whether it has to end.
constexpr std::chrono::milliseconds kLook(100);
constexpr std::chrono::seconds kLastWords(1);
// A pipe that poll calls writable takes as much without making anyone wait (PIPE_BUF).
constexpr std::size_t kAtOnce = 4096;

}  // namespace

void LogOutput::EndSoon() { end_ = Clock::now() + kLastWords; }

void LogOutput::sink_it_(const spdlog::details::log_msg& message) {
  TellOfDropped(message);
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  Write({line.data(), line.size()});
}

void LogOutput::TellOfDropped(const spdlog::details::log_msg& before) {
  const std::uint64_t dropped = dropped_();
  if (dropped == told_) return;
  const std::string sentence =
      absl::StrCat("The log was not read: ", dropped - told_, " lines before this were dropped.");
  told_ = dropped;
  spdlog::memory_buf_t line;
  formatter_->format({before.logger_name, spdlog::level::warn, sentence}, line);
  Write({line.data(), line.size()});
}

void LogOutput::Write(absl::string_view text) {
  while (!text.empty() && AwaitReader()) {
    const ssize_t wrote = write(fd_, text.data(), std::min(text.size(), kAtOnce));
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    // Nobody reads any more, or the disk is full: the log is the least of it.
    if (wrote < 0) return;
    text.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

bool LogOutput::AwaitReader() const {
  pollfd file = {.fd = fd_, .events = POLLOUT, .revents = 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_.load() - Clock::now());
    const auto wait = std::clamp(left, std::chrono::milliseconds(0), kLook);
    const int ready = poll(&file, 1, static_cast<int>(wait.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    if (Clock::now() >= end_.load()) return false;
  }
}

}  // namespace atelier::server
