#include "server/rpc/log_source.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/job_state.h"

namespace atelier::rpc {

absl::StatusOr<Batch<v1::LogChunk>> LogSource::Produce() {
  // The job is looked at first: what its worker wrote before it ended is then read for certain.
  auto job = get_job_(options_.job);
  if (!job.ok()) return job.status();
  Batch<v1::LogChunk> batch;
  if (file_ == nullptr) {
    if (const absl::Status status = Open(*job); !status.ok()) return status;
  }
  if (file_ != nullptr) {
    if (const absl::Status status = ReadInto(&batch); !status.ok()) return status;
  }
  const bool all_read = batch.messages.size() < kChunksAtOnce && !coming_;
  batch.ended = all_read && (!options_.follow || HasEnded(*job));
  return batch;
}

absl::Status LogSource::Open(const v1::TrainingJob& job) {
  const int attempts = job.attempts_size();
  if (options_.attempt > attempts) {
    return jobs::Error(absl::StatusCode::kNotFound, "ATTEMPT_NOT_FOUND",
                       absl::StrCat("There is no attempt ", options_.attempt, "; the job had ",
                                    attempts, " so far."));
  }
  if (attempt_ == 0) attempt_ = options_.attempt > 0 ? options_.attempt : attempts;
  if (attempt_ > 0) {
    const std::string path = artifacts_->LogPath(options_.job, attempt_);
    const auto there = artifacts_->Bring(path);
    if (!there.ok()) {
      return jobs::Error(absl::StatusCode::kUnavailable, "LOG_UNAVAILABLE",
                         absl::StrCat("The log is not there: ", there.status().message()));
    }
    coming_ = !*there;
    if (coming_) return absl::OkStatus();
    auto file = FileReader::Open(path);
    if (!file.ok() && !absl::IsNotFound(file.status())) return file.status();
    if (file.ok()) file_ = *std::move(file);
  }
  if (file_ == nullptr && (!options_.follow || HasEnded(job))) {
    return jobs::Error(absl::StatusCode::kFailedPrecondition, "NO_LOG",
                       "There is no log: no worker has written one yet, or it was deleted.");
  }
  return absl::OkStatus();
}

absl::Status LogSource::ReadInto(Batch<v1::LogChunk>* batch) {
  while (batch->messages.size() < kChunksAtOnce) {
    auto text = file_->Read(offset_, kChunk);
    if (!text.ok()) return text.status();
    if (text->empty()) break;
    offset_ += static_cast<std::int64_t>(text->size());
    auto chunk = std::make_shared<v1::LogChunk>();
    chunk->set_text(*std::move(text));
    chunk->set_attempt(attempt_);
    batch->messages.push_back(std::move(chunk));
  }
  return absl::OkStatus();
}

bool LogSource::HasEnded(const v1::TrainingJob& job) const {
  if (attempt_ == 0) return jobs::IsTerminal(job.state());
  return attempt_ <= job.attempts_size() && job.attempts(attempt_ - 1).has_end_time();
}

bool LogSource::Await(std::function<void()> wake) {
  // A new alarm each time: the last one's callback may still be returning.
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(options_.interval),
              [wake = std::move(wake)](bool) { wake(); });
  return true;
}

bool LogSource::TakeBack() {
  alarm_->Cancel();
  return false;
}

std::shared_ptr<const v1::LogChunk> LogSource::StillThere() {
  auto chunk = std::make_shared<v1::LogChunk>();
  chunk->set_attempt(attempt_);
  return chunk;
}

}  // namespace atelier::rpc
