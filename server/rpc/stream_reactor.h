// A server stream that reads what it sends from a source, at its reader's pace.
//
// Between two writes a stream is a source and nothing else; a reader that does not read keeps one
// small batch in memory. Producing is done on the stream set's threads, sending on gRPC's; waiting
// takes no thread.
#ifndef ATELIER_SERVER_RPC_STREAM_REACTOR_H_
#define ATELIER_SERVER_RPC_STREAM_REACTOR_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/alarm.h"
#include "grpcpp/support/server_callback.h"
#include "server/base/system_clock.h"
#include "server/rpc/access_interceptor.h"
#include "server/rpc/memory_interceptor.h"
#include "server/rpc/status.h"
#include "server/rpc/stream_set.h"

namespace atelier::rpc {

// What a stream sends next.
template <typename Message>
struct Batch {
  std::vector<std::shared_ptr<const Message>> messages;
  bool ended = false;  // Nothing comes after them.
};

// Where a stream's messages come from. Called by one thread at a time, TakeBack aside.
template <typename Message>
class StreamSource {
 public:
  virtual ~StreamSource() = default;

  // The next messages, a few of them; empty if there are none yet. An error ends the stream. May
  // wait for the disk.
  virtual absl::StatusOr<Batch<Message>> Produce() = 0;

  // After an empty batch: arranges for `wake` to be called once, when there may be more. False if
  // there may be already; `wake` is not called then. `wake` never waits.
  virtual bool Await(std::function<void()> wake) = 0;

  // Any thread, after Await: true if `wake` will never be called, false if it was or will be.
  virtual bool TakeBack() = 0;

  // What is sent when nothing else was for a while; null for nothing. May wait for the disk.
  virtual std::shared_ptr<const Message> StillThere() { return nullptr; }
};

// Exactly one thread, task, write or wake-up at a time carries a stream on: it holds the turn. Who
// wants to end the stream says so, and the holder of the turn finishes the call; only a wake-up
// that was taken back gives its turn to the one who took it. So nothing is ever sent, or the call
// finished, while a write is in flight, and the reactor lives as long as anything can reach it.
template <typename Message>
class StreamReactor final : public grpc::ServerWriteReactor<Message>, public StreamSet::Stream {
 public:
  using Source = StreamSource<Message>;

  // For a handler to return. An error in place of a source ends the call with it.
  static grpc::ServerWriteReactor<Message>* Start(StreamSet* streams,
                                                  const grpc::ServerContextBase* context,
                                                  absl::StatusOr<std::unique_ptr<Source>> source) {
    std::shared_ptr<StreamReactor> reactor(new StreamReactor(streams, context));
    reactor->self_ = reactor;
    absl::Status status = CheckAdmitted(*context);
    if (status.ok()) status = CheckTaken(*context);
    if (status.ok()) status = source.status();
    if (status.ok()) {
      reactor->source_ = *std::move(source);
      status = streams->Add(reactor);
    }
    if (status.ok()) {
      streams->Post([raw = reactor.get()] { raw->Produce(); });
    } else {
      reactor->Finish(ToGrpcStatus(status));
    }
    return reactor.get();
  }

  void End(const absl::Status& status) override {
    {
      absl::MutexLock lock(&mutex_);
      if (!ending_.has_value()) ending_ = status;
      if (!waiting_ || !source_->TakeBack()) return;
      waiting_ = false;
    }
    this->Finish(ToGrpcStatus(*Ending()));
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return this->Finish(grpc::Status::CANCELLED);
    if (next_ < batch_.messages.size()) return Send();
    if (batch_.ended) return this->Finish(grpc::Status::OK);
    batch_ = {};
    streams_->Post([this] { Produce(); });
  }

  void OnCancel() override { End(absl::CancelledError("The call was cancelled.")); }

  void OnDone() override {
    streams_->Remove(this);
    const std::shared_ptr<StreamReactor> last = std::move(self_);
  }

 private:
  StreamReactor(StreamSet* streams, const grpc::ServerContextBase* context)
      : streams_(streams),
        share_(streams->memory(), context),
        speaks_at_(SystemClock().Elapsed() + streams->silence()) {}

  std::optional<absl::Status> Ending() {
    absl::MutexLock lock(&mutex_);
    return ending_;
  }

  void Send() {
    if (const auto ending = Ending()) return this->Finish(ToGrpcStatus(*ending));
    speaks_at_ = SystemClock().Elapsed() + streams_->silence();
    this->StartWrite(batch_.messages[next_++].get());
  }

  // On a thread of the stream set.
  void Produce() {
    do {
      if (const auto ending = Ending()) return this->Finish(ToGrpcStatus(*ending));
      auto batch = source_->Produce();
      if (!batch.ok()) return this->Finish(ToGrpcStatus(batch.status()));
      batch_ = *std::move(batch);
      next_ = 0;
      if (batch_.messages.empty() && !batch_.ended) BreakSilence();
      const absl::Status held = share_.Hold(BytesOf(batch_));
      if (!held.ok()) return this->Finish(ToGrpcStatus(held));
      if (!batch_.messages.empty()) return Send();
      if (batch_.ended) return this->Finish(grpc::Status::OK);
    } while (!Wait());
  }

  static std::int64_t BytesOf(const Batch<Message>& batch) {
    std::size_t bytes = 0;
    for (const auto& message : batch.messages) bytes += message->ByteSizeLong();
    return static_cast<std::int64_t>(bytes);
  }

  void BreakSilence() {
    if (SystemClock().Elapsed() < speaks_at_) return;
    speaks_at_ = SystemClock().Elapsed() + streams_->silence();
    if (auto message = source_->StillThere()) batch_.messages.push_back(std::move(message));
  }

  // True once the turn is the wake-up's; false if it still is the caller's.
  bool Wait() {
    absl::MutexLock lock(&mutex_);
    if (ending_.has_value()) return false;
    waiting_ = source_->Await([this] { streams_->Post([this] { OnWake(); }); });
    if (waiting_ && alarm_ == nullptr) SetAlarm();
    return waiting_;
  }

  // One alarm is enough for many waits: if it comes too early the next wait sets another one.
  void SetAlarm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    alarm_ = std::make_unique<grpc::Alarm>();
    const absl::Duration silence = speaks_at_ - SystemClock().Elapsed();
    alarm_->Set(absl::ToChronoTime(absl::Now() + silence), [weak = std::weak_ptr(self_)](bool) {
      if (const auto self = weak.lock()) self->OnAlarm();
    });
  }

  // Takes the turn from the source if it has it.
  void OnAlarm() {
    std::unique_ptr<grpc::Alarm> rung;  // Goes without the lock.
    absl::MutexLock lock(&mutex_);
    rung = std::move(alarm_);
    if (!waiting_ || !source_->TakeBack()) return;
    waiting_ = false;
    streams_->Post([this] { Produce(); });
  }

  void OnWake() {
    {
      absl::MutexLock lock(&mutex_);
      waiting_ = false;
    }
    Produce();
  }

  StreamSet* const streams_;
  std::unique_ptr<Source> source_;
  std::shared_ptr<StreamReactor> self_;  // Until gRPC is done with the call.

  // Belong to the turn.
  Batch<Message> batch_;
  std::size_t next_ = 0;
  CallMemory::Share share_;
  absl::Duration speaks_at_;  // By SystemClock, if there is nothing to send until then.

  absl::Mutex mutex_;
  std::optional<absl::Status> ending_ ABSL_GUARDED_BY(mutex_);
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;  // The turn is the source's wake-up's.
  std::unique_ptr<grpc::Alarm> alarm_ ABSL_GUARDED_BY(mutex_);  // Null once it rang.
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_STREAM_REACTOR_H_
