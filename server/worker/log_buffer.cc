#include "server/worker/log_buffer.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace atelier::worker {

void LogBuffer::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  absl::MutexLock lock(&mutex_);
  const auto bytes = static_cast<std::int64_t>(line.size());
  if (total_ + bytes > max_bytes_ || text_.size() + line.size() > kMost) {
    ++left_out_;
    return;
  }
  if (left_out_ > 0) {
    absl::StrAppend(&text_, "The log could not be sent: ", left_out_,
                    " lines before this were dropped.\n");
    left_out_ = 0;
  }
  text_.append(line.data(), line.size());
  total_ += bytes;
}

LogBuffer::Piece LogBuffer::Next() const {
  absl::MutexLock lock(&mutex_);
  return {offset_, text_};
}

void LogBuffer::Acknowledge(std::int64_t received) {
  absl::MutexLock lock(&mutex_);
  if (begun_ && received > offset_) {
    text_.erase(0, std::min(text_.size(), static_cast<std::size_t>(received - offset_)));
  }
  begun_ = true;
  offset_ = received;
}

}  // namespace atelier::worker
