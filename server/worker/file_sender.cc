#include "server/worker/file_sender.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "models/base/failure.h"
#include "models/files/folder_names.h"
#include "proto/lifecycle/lifecycle.h"
#include "server/worker/failure_event.h"
#include "spdlog/spdlog.h"

namespace atelier::worker {
namespace {

v1::AttemptFile NameOf(v1::FileKind kind, std::int64_t number) {
  v1::AttemptFile name;
  name.set_kind(kind);
  name.set_number(number);
  return name;
}

v1::WorkerEvent UndeliveredEvent(const absl::Status& status) {
  return FailureEvent(
      models::FailureReason::kInternal,
      absl::StrCat("What the attempt made could not be sent to the server: ", status.message()));
}

// UNKNOWN for a failure in writing to the attempt's folder that another machine need not have. Its
// words are the path and the system's, as of all files that are written.
absl::Status DiskFailure(const v1::WorkerEvent& event, const std::string& folder) {
  const std::string& message = event.failure().message();
  if (!absl::StrContains(message, folder + "/")) return absl::OkStatus();
  for (const int error : {ENOSPC, EDQUOT, EIO}) {
    if (absl::StrContains(message, std::strerror(error))) return absl::UnknownError(message);
  }
  return absl::OkStatus();
}

}  // namespace

FileSender::FileSender(Options options, FileLine* line, LogBuffer* log)
    : options_(std::move(options)), line_(line), log_(log) {
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "files");
}

FileSender::~FileSender() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
  }
  thread_.join();
  if (const auto waiting = TakeWaiting(); waiting.has_value()) close(waiting->descriptor);
}

void FileSender::Run() {
  // What failed just now is not tried again at once.
  for (bool failed = false;;) {
    {
      absl::MutexLock lock(&mutex_);
      const auto due = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return closing_ || (!failed && waiting_.has_value());
      };
      mutex_.AwaitWithTimeout(absl::Condition(&due), options_.log_interval);
      if (closing_) return;
    }
    failed = false;
    for (const absl::Status& status : {SendCheckpoint(), SendFolds()}) {
      if (!status.ok() && !absl::IsCancelled(status)) {
        spdlog::warn("the server did not take a file: {}", std::string(status.message()));
        failed = true;
      }
    }
    SendLog();
  }
}

void FileSender::SendFrom(std::string attempt_dir) {
  absl::MutexLock lock(&mutex_);
  attempt_dir_ = std::move(attempt_dir);
}

std::string FileSender::attempt_dir() const {
  absl::MutexLock lock(&mutex_);
  return attempt_dir_;
}

void FileSender::Report(v1::WorkerEvent event) {
  const std::string folder = attempt_dir();
  const bool copies = !folder.empty();
  if (copies && event.has_checkpoint()) return Offer(std::move(event));
  if (!EndsAttempt(event)) return options_.report(std::move(event));
  absl::Status status;
  if (copies) status = event.has_failure() ? DiskFailure(event, folder) : Deliver(event);
  if (absl::IsUnknown(status)) return options_.disk_failed(status);
  if (!status.ok()) {
    // With nobody to tell of it, the session has said why.
    if (!absl::IsCancelled(status)) event = UndeliveredEvent(status);
    spdlog::error("not all files were sent: {}", std::string(status.message()));
  }
  SendLog();
  options_.report(std::move(event));
}

absl::Status FileSender::Deliver(const v1::WorkerEvent& last) {
  if (last.has_outcome()) {
    // A checkpoint that waits is of no use any more.
    if (const auto waiting = TakeWaiting(); waiting.has_value()) close(waiting->descriptor);
    return SendOnly(v1::FILE_KIND_MODEL_ARCHIVE, last.outcome().archive().c_str());
  }
  if (last.has_import_outcome()) {
    return SendOnly(v1::FILE_KIND_PACKED_DATASET, last.import_outcome().file().c_str());
  }
  return last.has_suspended() ? SendCheckpoints() : absl::OkStatus();
}

absl::Status FileSender::SendCheckpoints() {
  absl::Status status = SendCheckpoint();
  status.Update(SendFolds());
  return status;
}

void FileSender::Offer(v1::WorkerEvent event) {
  const std::string path =
      absl::StrCat(attempt_dir(), "/checkpoint-", event.checkpoint().global_step(), ".ckpt");
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) {
    spdlog::warn("{} cannot be opened: {}", path, std::strerror(errno));
    return;
  }
  absl::MutexLock lock(&mutex_);
  if (waiting_.has_value()) close(waiting_->descriptor);
  waiting_ = Waiting{descriptor, std::move(event)};
}

bool FileSender::PutBack(Waiting* checkpoint) {
  absl::MutexLock lock(&mutex_);
  if (waiting_.has_value()) return false;
  waiting_ = std::move(*checkpoint);
  return true;
}

std::optional<FileSender::Waiting> FileSender::TakeWaiting() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(waiting_, std::nullopt);
}

absl::Status FileSender::SendCheckpoint() {
  absl::MutexLock sending(&sending_mutex_);
  auto waiting = TakeWaiting();
  if (!waiting.has_value()) return absl::OkStatus();
  const absl::Status sent =
      line_->Send(NameOf(v1::FILE_KIND_CHECKPOINT, waiting->event.checkpoint().global_step()),
                  waiting->descriptor);
  const bool may_pass = absl::IsInternal(sent) || absl::IsDataLoss(sent);
  if (may_pass && PutBack(&*waiting)) return sent;
  close(waiting->descriptor);
  if (sent.ok()) options_.report(std::move(waiting->event));
  return sent;
}

absl::Status FileSender::SendFolds() {
  const std::string folder = attempt_dir();
  if (folder.empty()) return absl::OkStatus();
  absl::MutexLock sending(&sending_mutex_);
  for (const std::string& name : models::NamesIn(folder)) {
    absl::string_view digits = name;
    std::int64_t number = 0;
    if (!absl::ConsumePrefix(&digits, "fold-") || !absl::SimpleAtoi(digits, &number) ||
        sent_folds_.contains(number)) {
      continue;
    }
    const absl::Status sent = SendFile(v1::FILE_KIND_FOLD, number, absl::StrCat(folder, "/", name));
    if (!sent.ok()) return sent;
    sent_folds_.insert(number);
  }
  return absl::OkStatus();
}

absl::Status FileSender::SendOnly(v1::FileKind kind, const char* name) {
  absl::MutexLock sending(&sending_mutex_);
  return SendFile(kind, 0, absl::StrCat(attempt_dir(), "/", name));
}

absl::Status FileSender::SendFile(v1::FileKind kind, std::int64_t number, const std::string& path) {
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) {
    return absl::UnknownError(absl::StrCat("opening ", path, " failed: ", std::strerror(errno)));
  }
  const absl::Cleanup close_it = [descriptor] { close(descriptor); };
  return line_->Send(NameOf(kind, number), descriptor);
}

// Of what it cannot send nobody could be told.
void FileSender::SendLog() {
  absl::MutexLock sending(&sending_mutex_);
  while (!log_ended_) {
    const LogBuffer::Piece piece = log_->Next();
    if (piece.text.empty()) return;
    v1::WriteFileRequest request;
    *request.mutable_file() = NameOf(v1::FILE_KIND_LOG, 0);
    // The first call asks where the log begins.
    const bool asks = !std::exchange(log_begun_, true);
    request.set_offset(piece.offset);
    if (!asks) request.set_data(piece.text);
    const auto answer = line_->Write(std::move(request));
    if (!answer.ok()) {
      log_ended_ = !absl::IsCancelled(answer.status());
      return;
    }
    log_->Acknowledge(answer->received_bytes());
  }
}

}  // namespace atelier::worker
