#include "server/serving/batcher.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace atelier::serving {

namespace {

using Clock = std::chrono::steady_clock;

// To wake a thread takes some 50 µs on a virtual machine, as much as a small network may compute.
// A caller that asks again at once is back within this time.
constexpr auto kLinger = std::chrono::microseconds(300);

// Its part that was not computed has left the queue, too.
void Tell(BatchItem& item) {
  if (item.taken < item.images) {
    item.version->observer->QueueChanged(-static_cast<std::int64_t>(item.images - item.taken));
  }
  item.done(item);
}

}  // namespace

Batcher::Batcher(Options options)
    : lingers_(options.lingers),
      answers_(options.answers),
      queue_(options.queue, static_cast<std::size_t>(options.threads)) {
  for (int i = 0; i < options.threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    pthread_setname_np(threads_.back().native_handle(), absl::StrCat("classify-", i).c_str());
  }
}

Batcher::~Batcher() {
  std::vector<std::shared_ptr<BatchItem>> left;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    left = queue_.Clear(absl::UnavailableError("The server is stopping."));
    changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
  for (const auto& item : left) Tell(*item);
}

absl::Status Batcher::Submit(const std::shared_ptr<BatchItem>& item) {
  VersionObserver& observer = *item->version->observer;
  const auto images = static_cast<std::int64_t>(item->images);
  observer.QueueChanged(images);
  absl::Status status = absl::UnavailableError("The server is stopping.");
  {
    absl::MutexLock lock(&mutex_);
    if (!ending_) status = queue_.Add(item);
    if (status.ok()) {
      asked_again_ = Clock::now() - computed_ < kLinger;
      if (!lingering_.exchange(false, std::memory_order_relaxed)) changed_.Signal();
    }
  }
  if (!status.ok()) observer.QueueChanged(-images);
  return status;
}

void Batcher::Run() {
  BatchQueue::Work work;
  while (Await(&work)) {
    TellAll(work.given_up);
    if (work.batch.has_value()) Compute(*work.batch);
    work = {};
    Linger();
  }
}

void Batcher::Linger() {
  {
    absl::MutexLock lock(&mutex_);
    if (!lingers_ || !asked_again_ || ending_ || queue_.NextDue().has_value()) return;
    if (lingering_.exchange(true, std::memory_order_relaxed)) return;
  }
  const SteadyTime until = Clock::now() + kLinger;
  while (lingering_.load(std::memory_order_relaxed)) {
    if (Clock::now() < until) continue;
    // Under the lock: callers from now on wake a thread.
    absl::MutexLock lock(&mutex_);
    lingering_.store(false, std::memory_order_relaxed);
  }
}

bool Batcher::Await(BatchQueue::Work* work) {
  absl::MutexLock lock(&mutex_);
  while (!ending_) {
    const SteadyTime now = Clock::now();
    *work = queue_.Take(now);
    const auto due = queue_.NextDue();
    if (work->batch.has_value() || !work->given_up.empty()) {
      // What is left is for another thread, if one sleeps.
      if (due.has_value() && *due <= now) changed_.Signal();
      return true;
    }
    if (due.has_value()) {
      changed_.WaitWithTimeout(&mutex_, absl::FromChrono(*due - now));
    } else {
      changed_.Wait(&mutex_);
    }
  }
  return false;
}

void Batcher::Compute(const BatchQueue::Batch& batch) {
  ServedVersion& version = *batch.version;
  version.observer->QueueChanged(-static_cast<std::int64_t>(batch.images));
  const Engine& engine = *version.engine;
  const auto image_size = static_cast<std::size_t>(engine.input_shape().size());
  std::vector<Pixels> parts;
  parts.reserve(batch.slices.size());
  for (const BatchQueue::Slice& slice : batch.slices) {
    parts.push_back(ImagesOf(slice.item->pixels, image_size, slice.first, slice.count));
  }
  const SteadyTime begin = Clock::now();
  const absl::StatusOr<std::vector<float>> answer = engine.Classify(parts);
  const SteadyTime end = Clock::now();
  const auto duration = end - begin;
  version.last_batch.store(duration, std::memory_order_relaxed);
  version.statistics.Computed(static_cast<std::int64_t>(batch.images), absl::FromChrono(duration));
  version.observer->Computed(static_cast<std::int64_t>(batch.images), batch.reason);
  if (answer.ok()) {
    const std::size_t classes = engine.class_names().size();
    auto from = answer->begin();
    for (const BatchQueue::Slice& slice : batch.slices) {
      const auto count = static_cast<std::ptrdiff_t>(slice.count * classes);
      std::copy(
          from, from + count,
          slice.item->probabilities.begin() + static_cast<std::ptrdiff_t>(slice.first * classes));
      from += count;
    }
  }
  std::vector<BatchQueue::ItemPtr> finished;
  {
    absl::MutexLock lock(&mutex_);
    computed_ = end;
    for (const BatchQueue::Slice& slice : batch.slices) {
      if (queue_.Complete(slice, answer.status())) finished.push_back(slice.item);
    }
  }
  TellAll(finished);
}

void Batcher::TellAll(const std::vector<BatchQueue::ItemPtr>& items) {
  const bool together = answers_ != nullptr && items.size() > 1;
  if (together) answers_->Begin();
  for (const auto& item : items) Tell(*item);
  if (together) answers_->End();
}

}  // namespace atelier::serving
