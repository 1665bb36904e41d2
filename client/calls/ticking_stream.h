// A server stream whose waits are divided into ticks, with its own completion queue and without a
// second thread. Used by one thread.
#ifndef ATELIER_CLIENT_CALLS_TICKING_STREAM_H_
#define ATELIER_CLIENT_CALLS_TICKING_STREAM_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_stream.h"

namespace atelier::client {

template <typename Message>
class TickingStream {
 public:
  using Reader = std::unique_ptr<grpc::ClientAsyncReaderInterface<Message>>;
  // Calls one of a stub's PrepareAsync… methods.
  using Prepare = std::function<Reader(grpc::ClientContext*, grpc::CompletionQueue*)>;

  struct Options {
    bool wait_for_ready = false;  // Rather than fail while there is no connection.
    absl::Duration interval = absl::Milliseconds(100);
    // Called while there is nothing to read; the call is cancelled once it returns true.
    std::function<bool()> tick;
  };

  TickingStream(const Prepare& prepare, Options options) : options_(std::move(options)) {
    context_.set_wait_for_ready(options_.wait_for_ready);
    reader_ = prepare(&context_, &queue_);
    reader_->StartCall(this);
    started_ = Await();
  }

  ~TickingStream() {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  TickingStream(const TickingStream&) = delete;
  TickingStream& operator=(const TickingStream&) = delete;

  // False at the stream's end.
  bool Read(Message* message) {
    if (!started_) return false;
    reader_->Read(message, this);
    return Await();
  }

  grpc::Status Finish() {
    grpc::Status status;
    reader_->Finish(&status, this);
    Await();
    return status;
  }

  void Cancel() { context_.TryCancel(); }

 private:
  // Waits for the operation under way; whether it succeeded.
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(absl::Now() + options_.interval)) ==
           grpc::CompletionQueue::TIMEOUT) {
      if (options_.tick()) Cancel();
    }
    return ok;
  }

  const Options options_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  Reader reader_;
  bool started_ = false;
};

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_TICKING_STREAM_H_
