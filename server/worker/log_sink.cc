#include "server/worker/log_sink.h"

#include <sys/stat.h>
#include <unistd.h>

namespace atelier::worker {

void LogSink::sink_it_(const spdlog::details::log_msg& message) {
  if (full_) return;
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  struct stat file = {};
  if (fstat(fd_, &file) == 0 && S_ISREG(file.st_mode) &&
      file.st_size + static_cast<std::int64_t>(line.size()) > max_bytes_) {
    full_ = true;
    constexpr char kFull[] = "The log has reached its size; nothing more is written to it.\n";
    return Write(kFull, sizeof(kFull) - 1);
  }
  Write(line.data(), line.size());
}

void LogSink::Write(const char* text, std::size_t size) {
  // On a full disk the log is the least of it.
  [[maybe_unused]] const ssize_t written = write(fd_, text, size);
}

}  // namespace atelier::worker
