#include "server/rpc/infer_call.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/rpc/conversions.h"
#include "server/rpc/infer_messages.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/status.h"

namespace atelier::rpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelStreamInferResponse;

// Requests of one stream that are being computed; more are read when some were answered.
constexpr int kMaxInFlight = 64;

// Requests are read one after the other and answered one after the other; in between, up to
// kMaxInFlight of them are computed at a time. The call ends when nothing more will be read,
// computed or written.
class InferStream final
    : public grpc::ServerBidiReactor<ModelInferRequest, ModelStreamInferResponse> {
 public:
  InferStream(serving::Classifier* classifier, grpc::CallbackServerContext* context)
      : classifier_(classifier), context_(context) {
    next_ = std::make_unique<Exchange>();
    StartRead(&next_->request);
  }

  void OnReadDone(bool ok) override {
    Exchange* exchange = nullptr;
    bool read_on = false;
    {
      absl::MutexLock lock(&mutex_);
      if (!ok) {
        reading_ = false;
        read_all_ = true;
      } else {
        exchange = next_.release();
        read_on = ++in_flight_ < kMaxInFlight;
        reading_ = read_on;
      }
    }
    if (!ok) return FinishIfDone();
    if (read_on) ReadOn();
    Infer(classifier_, *context_, exchange->request, exchange->response.mutable_infer_response(),
          [this, exchange](const absl::Status& status) {
            OnAnswer(std::unique_ptr<Exchange>(exchange), status);
          });
  }

  void OnWriteDone(bool ok) override {
    {
      absl::MutexLock lock(&mutex_);
      writing_.reset();
      if (!ok) broken_ = true;
    }
    WriteOn();
    FinishIfDone();
  }

  void OnDone() override { delete this; }

 private:
  struct Exchange {
    ModelInferRequest request;
    ModelStreamInferResponse response;
  };

  // By whoever set reading_.
  void ReadOn() {
    next_ = std::make_unique<Exchange>();
    StartRead(&next_->request);
  }

  void OnAnswer(std::unique_ptr<Exchange> exchange, const absl::Status& status) {
    if (!status.ok()) {
      exchange->response.set_error_message(ToGrpcStatus(status).error_message());
      exchange->response.mutable_infer_response()->Clear();
      exchange->response.mutable_infer_response()->set_id(exchange->request.id());
    }
    bool read_on = false;
    {
      absl::MutexLock lock(&mutex_);
      answers_.push_back(std::move(exchange));
      read_on = !reading_ && !read_all_;
      reading_ |= read_on;
    }
    if (read_on) ReadOn();
    WriteOn();
    // This is no reaction of gRPC's, so the stream may be gone as soon as nothing is in flight.
    bool done = false;
    {
      absl::MutexLock lock(&mutex_);
      --in_flight_;
      done = MarkFinished();
    }
    if (done) Finish(grpc::Status::OK);
  }

  void WriteOn() {
    const ModelStreamInferResponse* response = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (broken_) answers_.clear();
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

  // True for the one who has to finish the call.
  bool MarkFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool busy = !read_all_ || in_flight_ > 0 || writing_ != nullptr || !answers_.empty();
    if (finished_ || busy) return false;
    finished_ = true;
    return true;
  }

  serving::Classifier* const classifier_;
  grpc::CallbackServerContext* const context_;
  std::unique_ptr<Exchange> next_;  // What is being read; belongs to whoever set reading_.

  absl::Mutex mutex_;
  bool reading_ ABSL_GUARDED_BY(mutex_) = true;
  bool read_all_ ABSL_GUARDED_BY(mutex_) = false;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<std::unique_ptr<Exchange>> answers_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Exchange> writing_ ABSL_GUARDED_BY(mutex_);
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // Nobody reads the answers.
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
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
  classifier->Classify(std::move(asked), [call, &request, response, done = std::move(done)](
                                             absl::StatusOr<serving::ClassifyResult> result) {
    if (!result.ok()) return done(WithDetail(result.status()));
    FillInfer(request, call->classification, *result, response);
    done(absl::OkStatus());
  });
}

grpc::ServerBidiReactor<ModelInferRequest, ModelStreamInferResponse>* StartInferStream(
    serving::Classifier* classifier, grpc::CallbackServerContext* context) {
  return new InferStream(classifier, context);
}

}  // namespace atelier::rpc
