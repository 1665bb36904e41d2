#include "server/rpc/infer_call.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc/access_interceptor.h"
#include "server/rpc/conversions.h"
#include "server/rpc/infer_messages.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/memory_interceptor.h"
#include "server/rpc/status.h"

namespace atelier::rpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using inference::ModelStreamInferResponse;

// Exchanges of one stream, from a request that was read to its answer that is written, and the
// bytes of their messages; more is read when there are fewer.
constexpr int kMaxExchanges = 64;
constexpr std::int64_t kMaxBytes = 32 << 20;
constexpr std::size_t kMaxRefusedId = 1024;

// Requests are read one after the other and answered one after the other; in between they are
// computed at the same time. The call ends when nothing more will be read, computed or written.
class InferStream final
    : public grpc::ServerBidiReactor<ModelInferRequest, ModelStreamInferResponse> {
 public:
  InferStream(serving::Classifier* classifier, CallMemory* memory,
              grpc::CallbackServerContext* context)
      : classifier_(classifier), context_(context), share_(memory, context) {
    next_ = std::make_unique<Exchange>();
    StartRead(&next_->request);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      {
        absl::MutexLock lock(&mutex_);
        read_all_ = true;
      }
      return FinishIfDone();
    }
    auto exchange = std::move(next_);
    bool read_on = false;
    const absl::Status taken = Take(exchange.get(), &read_on);
    if (read_on) ReadOn();
    if (!taken.ok()) {
      // Its answer is not counted, so it must be small.
      if (exchange->request.id().size() > kMaxRefusedId) exchange->request.clear_id();
      return OnAnswer(std::move(exchange), taken);
    }
    Exchange* const raw = exchange.release();
    Infer(classifier_, *context_, raw->request, raw->response.mutable_infer_response(),
          [this, raw](const absl::Status& status) {
            OnAnswer(std::unique_ptr<Exchange>(raw), status);
          });
  }

  void OnWriteDone(bool ok) override {
    bool read_on = false;
    {
      absl::MutexLock lock(&mutex_);
      Leave(*std::exchange(writing_, nullptr));
      if (!ok) broken_ = true;
      read_on = MayRead();
    }
    if (read_on) ReadOn();
    WriteOn();
    FinishIfDone();
  }

  void OnDone() override { delete this; }

 private:
  struct Exchange {
    ModelInferRequest request;
    ModelStreamInferResponse response;
    std::int64_t bytes = 0;  // That it counts for.
  };

  // Called where MayRead said so.
  void ReadOn() {
    next_ = std::make_unique<Exchange>();
    StartRead(&next_->request);
  }

  // Counts what was read. An error if the server holds too much already.
  absl::Status Take(Exchange* exchange, bool* read_on) {
    absl::MutexLock lock(&mutex_);
    reading_ = false;
    ++exchanges_;
    ++computed_;
    const auto bytes = static_cast<std::int64_t>(exchange->request.SpaceUsedLong());
    const absl::Status status = share_.Hold(bytes_ + bytes);
    if (status.ok()) {
      exchange->bytes = bytes;
      bytes_ += bytes;
    }
    *read_on = MayRead();
    return status;
  }

  void OnAnswer(std::unique_ptr<Exchange> exchange, const absl::Status& status) {
    EndExchange(exchange.get(), status);
    const auto bytes = static_cast<std::int64_t>(exchange->response.SpaceUsedLong());
    bool read_on = false;
    {
      absl::MutexLock lock(&mutex_);
      bytes_ += bytes - exchange->bytes;
      exchange->bytes = bytes;
      // It rarely grows, and then by little.
      share_.Hold(bytes_).IgnoreError();
      answers_.push_back(std::move(exchange));
      read_on = MayRead();
    }
    if (read_on) ReadOn();
    WriteOn();
    // This is no reaction of gRPC's, so the stream may be gone as soon as nothing is computed.
    bool done = false;
    {
      absl::MutexLock lock(&mutex_);
      --computed_;
      done = MarkFinished();
    }
    if (done) Finish(grpc::Status::OK);
  }

  // Completes the answer and frees the request.
  static void EndExchange(Exchange* exchange, const absl::Status& status) {
    ModelInferResponse* const response = exchange->response.mutable_infer_response();
    if (!status.ok()) {
      exchange->response.set_error_message(ToGrpcStatus(status).error_message());
      response->Clear();
      response->set_id(exchange->request.id());
    }
    if (AsksForFinalResponse(exchange->request)) MarkFinalResponse(response);
    FreeContents(&exchange->request);
  }

  void WriteOn() {
    const ModelStreamInferResponse* response = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (broken_) {
        for (const auto& answer : answers_) Leave(*answer);
        answers_.clear();
      }
      if (writing_ != nullptr || answers_.empty()) return;
      writing_ = std::move(answers_.front());
      answers_.pop_front();
      response = &writing_->response;
    }
    StartWrite(response);
  }

  void FinishIfDone() {
    bool done = false;
    {
      absl::MutexLock lock(&mutex_);
      done = MarkFinished();
    }
    if (done) Finish(grpc::Status::OK);
  }

  void Leave(const Exchange& exchange) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    --exchanges_;
    bytes_ -= exchange.bytes;
    share_.Hold(bytes_).IgnoreError();
  }

  // True for the one who has to read on.
  bool MayRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool full = exchanges_ >= kMaxExchanges || bytes_ >= kMaxBytes;
    if (reading_ || read_all_ || full) return false;
    reading_ = true;
    return true;
  }

  // True for the one who has to finish the call.
  bool MarkFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (finished_ || !read_all_ || exchanges_ > 0 || computed_ > 0) return false;
    finished_ = true;
    return true;
  }

  serving::Classifier* const classifier_;
  grpc::CallbackServerContext* const context_;
  std::unique_ptr<Exchange> next_;  // What is being read; belongs to the reader.

  absl::Mutex mutex_;
  CallMemory::Share share_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = true;
  bool read_all_ ABSL_GUARDED_BY(mutex_) = false;
  int exchanges_ ABSL_GUARDED_BY(mutex_) = 0;       // Read, and not yet written.
  int computed_ ABSL_GUARDED_BY(mutex_) = 0;        // Of them, on the way to an answer.
  std::int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // Of all of them.
  std::deque<std::unique_ptr<Exchange>> answers_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Exchange> writing_ ABSL_GUARDED_BY(mutex_);
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // Nobody reads the answers.
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

// A stream that ends as soon as it begins.
class RefusedStream final
    : public grpc::ServerBidiReactor<ModelInferRequest, ModelStreamInferResponse> {
 public:
  explicit RefusedStream(const absl::Status& why) { Finish(ToGrpcStatus(why)); }
  void OnDone() override { delete this; }
};

}  // namespace

void Infer(serving::Classifier* classifier, const grpc::CallbackServerContext& context,
           const ModelInferRequest& request, inference::ModelInferResponse* response,
           std::function<void(const absl::Status&)> done) {
  auto parsed = ParseInfer(request);
  if (!parsed.ok()) return done(parsed.status());
  const auto call = std::make_shared<const InferCall>(*std::move(parsed));
  serving::ClassifyRequest asked;
  asked.model = call->model;
  asked.reference = call->version;
  if (call->is_float) {
    asked.input = serving::FloatImages{call->floats};
  } else {
    asked.input = serving::RawImages{call->bytes};
  }
  asked.deadline = SteadyDeadline(context);
  if (call->timeout < absl::Hours(24)) {
    asked.deadline = std::min(asked.deadline, std::chrono::steady_clock::now() +
                                                  absl::ToChronoNanoseconds(call->timeout));
  }
  asked.cancelled = [&context] { return context.IsCancelled(); };
  asked.check = [call](const serving::Engine& engine) { return CheckInfer(*call, engine); };
  asked.top_k = 1;
  asked.calibrated = call->calibrated;
  classifier->Classify(std::move(asked), [call, &request, response, done = std::move(done)](
                                             absl::StatusOr<serving::ClassifyResult> result) {
    if (!result.ok()) return done(WithDetail(result.status()));
    FillInfer(request, call->classification, *result, response);
    done(absl::OkStatus());
  });
}

grpc::ServerBidiReactor<ModelInferRequest, ModelStreamInferResponse>* StartInferStream(
    serving::Classifier* classifier, CallMemory* memory, grpc::CallbackServerContext* context) {
  if (const absl::Status admitted = CheckAdmitted(*context); !admitted.ok()) {
    return new RefusedStream(admitted);
  }
  return new InferStream(classifier, memory, context);
}

}  // namespace atelier::rpc
