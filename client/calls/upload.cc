#include "client/calls/upload.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "client/calls/status_text.h"

namespace atelier::client {
namespace {

constexpr std::int64_t kUploadPiece = std::int64_t{256} << 10;
constexpr absl::Duration kInterruptTick = absl::Milliseconds(100);
constexpr absl::Duration kRetryPause = absl::Milliseconds(500);

// Cancels a call, whose writes wait for the server, once Ctrl-C was pressed.
class CancelOnInterrupt {
 public:
  CancelOnInterrupt(grpc::ClientContext* context, const std::function<bool()>& interrupted)
      : thread_([this, context, &interrupted] {
          while (!done_) {
            if (interrupted()) return context->TryCancel();
            absl::SleepFor(kInterruptTick);
          }
        }) {}
  ~CancelOnInterrupt() {
    done_ = true;
    thread_.join();
  }
  CancelOnInterrupt(const CancelOnInterrupt&) = delete;
  CancelOnInterrupt& operator=(const CancelOnInterrupt&) = delete;

 private:
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

class Sender {
 public:
  Sender(Connection* connection, v1::Upload upload, UploadSource* source,
         const UploadOptions& options)
      : connection_(connection), upload_(std::move(upload)), source_(source), options_(options) {}

  absl::Status Run() {
    while (upload_.received_bytes() < upload_.size_bytes()) {
      const grpc::Status sent = SendOnce();
      if (!unreadable_.ok()) return unreadable_;
      if (options_.interrupted()) return absl::CancelledError("Interrupted.");
      if (!sent.ok() && !MayRepeat(sent)) {
        return ToStatus(sent, connection_->address(), FlagOf, upload_.name());
      }
      if (sent.ok()) continue;
      if (absl::Status status = Resume(sent); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  static bool MayRepeat(const grpc::Status& status) {
    // Another client that sends the same, or the last call of this one: it still writes, or it has
    // written meanwhile.
    return IsBroken(status) || status.error_code() == grpc::StatusCode::ABORTED ||
           status.error_code() == grpc::StatusCode::OUT_OF_RANGE;
  }

  // One call, to the end if nothing comes between.
  grpc::Status SendOnce() {
    grpc::ClientContext context;
    v1::Upload response;
    const CancelOnInterrupt cancel(&context, options_.interrupted);
    const auto writer = connection_->stub<DatasetService>().WriteUpload(&context, &response);
    v1::WriteUploadRequest request;
    request.set_name(upload_.name());
    std::int64_t at = upload_.received_bytes();
    while (at < upload_.size_bytes()) {
      const std::int64_t count = std::min(kUploadPiece, upload_.size_bytes() - at);
      request.mutable_data()->resize(static_cast<std::size_t>(count));
      unreadable_ =
          source_->Read(at, request.mutable_data()->data(), static_cast<std::size_t>(count));
      if (!unreadable_.ok()) {
        context.TryCancel();
        break;
      }
      request.set_offset(at);
      if (!writer->Write(request)) break;
      at += count;
      options_.progress(at);
      request.clear_name();
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    if (status.ok()) upload_ = std::move(response);
    return status;
  }

  // Waits until the server says what it has. Patience with another client that sends the same
  // begins anew whenever there is more of it.
  absl::Status Resume(const grpc::Status& broken) {
    const bool lost = IsBroken(broken);
    if (lost) options_.connection(true);
    v1::GetUploadRequest request;
    request.set_name(upload_.name());
    for (const absl::Time begin = absl::Now();;) {
      for (const absl::Time end = absl::Now() + kRetryPause; absl::Now() < end;) {
        if (options_.interrupted()) return absl::CancelledError("Interrupted.");
        absl::SleepFor(kInterruptTick);
      }
      auto now =
          connection_->Call(&DatasetService::GetUpload, request, {.timeout = absl::Seconds(5)});
      if (now.ok()) {
        if (now->received_bytes() > upload_.received_bytes()) last_progress_ = absl::Now();
        upload_ = *std::move(now);
        if (lost) options_.connection(false);
        if (absl::Now() - last_progress_ < options_.patience) return absl::OkStatus();
        return ToStatus(broken, connection_->address(), FlagOf, upload_.name());
      }
      const bool away = absl::IsUnavailable(now.status()) || absl::IsDeadlineExceeded(now.status());
      if (!away || absl::Now() - begin >= options_.patience) return now.status();
    }
  }

  Connection* const connection_;
  v1::Upload upload_;
  UploadSource* const source_;
  const UploadOptions& options_;
  absl::Status unreadable_;
  // When the server last had more than before.
  absl::Time last_progress_ = absl::Now();
};

}  // namespace

absl::Status SendUpload(Connection* connection, v1::Upload upload, UploadSource* source,
                        const UploadOptions& options) {
  return Sender(connection, std::move(upload), source, options).Run();
}

}  // namespace atelier::client
