#include "server/worker/log_sink.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace atelier::worker {
namespace {

// Whether a line can be written without waiting for a reader.
bool Writable(int fd) {
  pollfd file = {.fd = fd, .events = POLLOUT, .revents = 0};
  return poll(&file, 1, 0) > 0;
}

}  // namespace

void LogSink::sink_it_(const spdlog::details::log_msg& message) {
  if (full_) return;
  if (!Writable(fd_)) {
    ++unread_;
    return;
  }
  if (unread_ > 0) {
    const std::string told =
        absl::StrCat("The log was not read: ", unread_, " lines before this were dropped.\n");
    unread_ = 0;
    Write(told.data(), told.size());
  }
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  struct stat file = {};
  if (fstat(fd_, &file) == 0 && S_ISREG(file.st_mode) &&
      file.st_size + static_cast<std::int64_t>(line.size()) > max_bytes_) {
    full_ = true;
    constexpr char kFull[] =
        "The log has reached its maximum size; nothing more is written to it.\n";
    return Write(kFull, sizeof(kFull) - 1);
  }
  Write(line.data(), line.size());
}

void LogSink::Write(const char* text, std::size_t size) {
  // On a full disk the log is the least of it.
  [[maybe_unused]] const ssize_t written = write(fd_, text, size);
}

}  // namespace atelier::worker
