#include "client/load/load_generator.h"

#include <sys/prctl.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "client/load/poisson_arrivals.h"
#include "client/terminal/figures.h"

namespace atelier::client {
namespace {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

// How often the run reports progress, checks for Ctrl-C and restarts callers that found no server.
constexpr absl::Duration kTick = absl::Milliseconds(100);

std::chrono::nanoseconds Chrono(absl::Duration duration) {
  return absl::ToChronoNanoseconds(duration);
}

// Lets this thread sleep to within microseconds rather than Linux's 50.
class PreciseSleep {
 public:
  PreciseSleep() : previous_(prctl(PR_GET_TIMERSLACK)) { prctl(PR_SET_TIMERSLACK, 1000UL); }
  ~PreciseSleep() { prctl(PR_SET_TIMERSLACK, static_cast<unsigned long>(previous_)); }  // NOLINT
  PreciseSleep(const PreciseSleep&) = delete;
  PreciseSleep& operator=(const PreciseSleep&) = delete;

 private:
  const int previous_;
};

}  // namespace

// The calls in flight and the results of those that ended. Each call in flight holds a reference,
// because one of gRPC's threads may still be releasing mutex_ after the run saw the last call end.
// The calls' contexts do not live that long: see Result(). Thread-safe.
class LoadGenerator::Calls : public std::enable_shared_from_this<Calls> {
 public:
  Calls(const LoadGenerator& load, TimePoint begin)
      : load_(load),
        begin_(begin + Chrono(load.options_.warmup)),
        end_(begin_ + Chrono(load.options_.duration)) {}

  TimePoint begin() const { return begin_; }
  TimePoint end() const { return end_; }

  // Sends the next request, which was due at `intended`; false if the maximum is in flight.
  bool Send(TimePoint intended) {
    Call* call = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      if (stopped_) return true;
      if (load_.options_.rate > 0 && Clock::now() - intended >= Chrono(load_.options_.deadline)) {
        // Its deadline has passed.
        if (Counts(intended)) {
          ++result_.sent;
          Fail(grpc::StatusCode::DEADLINE_EXCEEDED,
               "The deadline passed before the request could be sent.");
        }
        return true;
      }
      if (free_.empty() && calls_.size() < static_cast<std::size_t>(load_.options_.concurrency)) {
        free_.push_back(calls_.emplace_back(std::make_unique<Call>()).get());
      }
      if (free_.empty()) {
        // In a closed loop, Send() only starts the callers that are idle.
        if (load_.options_.rate > 0 && Counts(intended)) ++result_.not_sent;
        return false;
      }
      call = free_.back();
      free_.pop_back();
      Prepare(call, intended);
    }
    Start(call);
    return true;
  }

  // Starts no more calls; cancels those in flight if `cancel`.
  void Stop(bool cancel) {
    {
      absl::MutexLock lock(&mutex_);
      stopped_ = true;
      cancelled_ = cancelled_ || cancel;
    }
    // From here on no call is added and no context replaced.
    if (!cancel) return;
    for (const auto& call : calls_) {
      if (call->context.has_value()) call->context->TryCancel();
    }
  }

  // Waits until every call has ended, at most for `timeout`; returns whether they have.
  bool WaitUntilIdle(absl::Duration timeout) {
    absl::MutexLock lock(&mutex_);
    return mutex_.AwaitWithTimeout(absl::Condition(this, &Calls::Idle), timeout);
  }

  LoadProgress Progress(TimePoint now) {
    absl::MutexLock lock(&mutex_);
    LoadProgress progress;
    progress.warming_up = now < begin_;
    const auto whole = progress.warming_up ? load_.options_.warmup : load_.options_.duration;
    const auto left = absl::FromChrono((progress.warming_up ? begin_ : end_) - now);
    progress.fraction = std::clamp(1 - absl::FDivDuration(left, whole), 0.0, 1.0);
    result_.measured = Measured(now);
    progress.requests_per_second = result_.RequestsPerSecond();
    progress.p99 = result_.latency.Percentile(99);
    return progress;
  }

  // Once idle. Destroys the calls here, on the run's own thread: a context holds its channel, and
  // one of gRPC's threads that dropped the last reference to a channel would destroy the queue that
  // it is running on.
  LoadResult Result(TimePoint ended) {
    absl::MutexLock lock(&mutex_);
    free_.clear();
    calls_.clear();
    result_.measured = Measured(ended);
    return result_;
  }

 private:
  struct Call {
    std::optional<grpc::ClientContext> context;
    v1::ClassifyResponse response;
    const v1::ClassifyRequest* request = nullptr;
    Connection* connection = nullptr;
    TimePoint intended;
  };

  bool Counts(TimePoint time) const { return time >= begin_ && time < end_; }
  absl::Duration Measured(TimePoint now) const {
    return absl::FromChrono(std::clamp(now, begin_, end_) - begin_);
  }
  bool Idle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; }

  void Prepare(Call* call, TimePoint intended) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++in_flight_;
    call->context.emplace();
    call->context->set_deadline(std::chrono::system_clock::now() + (intended - Clock::now()) +
                                Chrono(load_.options_.deadline));
    call->intended = intended;
    call->request = &load_.requests_[next_ % load_.requests_.size()];
    call->connection = load_.connections_[next_ % load_.connections_.size()];
    ++next_;
    if (Counts(intended)) ++result_.sent;
  }

  void Start(Call* call) {
    call->connection->stub<InferenceService>().async()->Classify(
        &*call->context, call->request, &call->response,
        [self = shared_from_this(), call](const grpc::Status& status) {
          self->OnEnded(call, status);
        });
  }

  void OnEnded(Call* call, const grpc::Status& status) {
    const TimePoint now = Clock::now();
    bool again = false;
    {
      absl::MutexLock lock(&mutex_);
      Record(*call, status, now);
      --in_flight_;
      // After UNAVAILABLE the run's own thread retries, once per tick: a caller would repeat the
      // call as fast as it fails.
      again = load_.options_.rate == 0 && !stopped_ && now < end_ &&
              status.error_code() != grpc::StatusCode::UNAVAILABLE;
      if (again) Prepare(call, now);
      if (!again) free_.push_back(call);
    }
    if (again) Start(call);
  }

  void Fail(grpc::StatusCode code, const std::string& message)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    LoadResult::Failures& failures = result_.failures[code];
    if (failures.count++ == 0) failures.message = message;
  }

  void Record(const Call& call, const grpc::Status& status, TimePoint now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (status.ok() && Counts(now)) ++result_.answered_in_time;
    if (!Counts(call.intended)) return;
    if (!status.ok()) {
      if (cancelled_ && status.error_code() == grpc::StatusCode::CANCELLED) {
        ++result_.given_up;
        return;
      }
      return Fail(status.error_code(), status.error_message());
    }
    ++result_.answered;
    const absl::Duration latency = absl::FromChrono(now - call.intended);
    const absl::Duration queue = ToDuration(call.response.queue_time());
    const absl::Duration compute = ToDuration(call.response.compute_time());
    result_.latency.Record(latency);
    result_.queue.Record(queue);
    result_.compute.Record(compute);
    result_.rest.Record(latency - queue - compute);
    result_.largest_batches += call.response.largest_batch();
    ++result_.versions[call.response.model_version()];
  }

  const LoadGenerator& load_;
  const TimePoint begin_;  // Of what is measured.
  const TimePoint end_;

  absl::Mutex mutex_;
  // Changed under the lock, by the run's own thread alone; removed from only once idle.
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Call*> free_ ABSL_GUARDED_BY(mutex_);
  std::size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  int in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  LoadResult result_ ABSL_GUARDED_BY(mutex_);
};

double LoadResult::RequestsPerSecond() const {
  const double seconds = absl::ToDoubleSeconds(measured);
  return seconds > 0 ? static_cast<double>(answered_in_time) / seconds : 0;
}

LoadResult LoadGenerator::Run(const Callbacks& callbacks) {
  const PreciseSleep precise;
  const TimePoint begin = Clock::now();
  const auto calls = std::make_shared<Calls>(*this, begin);
  const bool open = options_.rate > 0;
  PoissonArrivals arrivals(open ? options_.rate : 1);
  TimePoint arrival = begin + Chrono(arrivals.Next());
  TimePoint tick = begin;
  bool interrupted = false;
  // Arrivals that are due are sent even if they are late.
  const auto going_on = [&](TimePoint now) {
    return now < calls->end() || (open && arrival < calls->end());
  };
  for (TimePoint now = begin; going_on(now) && !interrupted; now = Clock::now()) {
    if (tick <= now) {
      // At the start, and for callers that found no server.
      for (int i = 0; !open && i < options_.concurrency && calls->Send(now); ++i) {
      }
      callbacks.progress(calls->Progress(now));
      interrupted = callbacks.interrupted();
      tick = now + Chrono(kTick);
    } else if (open && arrival <= now) {
      calls->Send(arrival);
      arrival = begin + Chrono(arrivals.Next());
    } else {
      const TimePoint next = std::min(open ? std::min(arrival, tick) : tick, calls->end());
      absl::SleepFor(absl::FromChrono(next - now));
    }
  }
  const TimePoint ended = Clock::now();
  calls->Stop(interrupted);
  // Every call has a deadline, so this ends.
  while (!calls->WaitUntilIdle(kTick)) {
    if (!interrupted && callbacks.interrupted()) {
      interrupted = true;
      calls->Stop(true);
    }
  }
  return calls->Result(ended);
}

}  // namespace atelier::client
