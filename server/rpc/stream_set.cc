#include "server/rpc/stream_set.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"

namespace atelier::rpc {

StreamSet::StreamSet(Options options)
    : max_streams_(options.max_streams),
      memory_(options.memory),
      silence_(options.silence),
      tasks_({.name = "stream", .threads = options.threads, .capacity = options.max_streams}) {}

absl::Status StreamSet::Add(const std::shared_ptr<Stream>& stream) {
  absl::MutexLock lock(&mutex_);
  if (!ending_.ok()) return ending_;
  if (streams_.size() >= max_streams_) {
    return jobs::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_STREAMS",
                       absl::StrCat("The server has ", max_streams_,
                                    " streams open, the most it keeps; try again later."));
  }
  streams_.emplace(stream.get(), stream);
  return absl::OkStatus();
}

void StreamSet::Remove(const Stream* stream) {
  absl::MutexLock lock(&mutex_);
  streams_.erase(stream);
}

void StreamSet::Post(std::function<void()> task) {
  // A stream would hang for ever; that it cannot happen is this class's promise.
  if (!tasks_.TryAdd(std::move(task))) std::abort();
}

void StreamSet::EndAll(const absl::Status& status) {
  std::vector<std::shared_ptr<Stream>> streams;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = status;
    for (const auto& [pointer, weak] : streams_) {
      if (auto stream = weak.lock()) streams.push_back(std::move(stream));
    }
  }
  for (const auto& stream : streams) stream->End(status);
}

std::size_t StreamSet::size() const {
  absl::MutexLock lock(&mutex_);
  return streams_.size();
}

}  // namespace atelier::rpc
