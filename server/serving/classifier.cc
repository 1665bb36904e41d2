#include "server/serving/classifier.h"

#include <pthread.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/serving/input_error.h"

namespace atelier::serving {
namespace {

constexpr int kDefaultTopK = 3;

absl::StatusOr<int> ResolveTopK(int requested, int classes) {
  if (requested < 0 || requested > classes) {
    return InputError("top_k", absl::StrCat("top_k is ", requested, "; it must be 1 to ", classes,
                                            ", the classes of the model, or 0 for the default."));
  }
  return requested == 0 ? std::min(kDefaultTopK, classes) : requested;
}

std::vector<RankedClass> Rank(absl::Span<const float> probabilities, int top_k) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + top_k, order.end(), [&](int a, int b) {
    return probabilities[a] > probabilities[b] || (probabilities[a] == probabilities[b] && a < b);
  });
  std::vector<RankedClass> ranked;
  ranked.reserve(static_cast<std::size_t>(top_k));
  for (int i = 0; i < top_k; ++i) ranked.push_back({order[i], probabilities[order[i]]});
  return ranked;
}

}  // namespace

Classifier::Classifier(Options options, VersionSource* source, EngineLoader loader)
    : options_(options),
      source_(source),
      versions_(std::make_unique<LoadedVersions>(options.versions, std::move(loader))) {
  for (int i = 0; i < options_.threads; ++i) {
    threads_.emplace_back([this] { Run(); });
    pthread_setname_np(threads_.back().native_handle(), absl::StrCat("classify-", i).c_str());
  }
}

Classifier::~Classifier() {
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
  }
  for (std::thread& thread : threads_) thread.join();
  versions_.reset();  // Answers those that wait for a version.
  std::deque<WorkPtr> left;
  {
    absl::MutexLock lock(&mutex_);
    left.swap(queue_);
  }
  for (const WorkPtr& work : left) Answer(work, absl::UnavailableError("The server is stopping."));
}

void Classifier::Classify(ClassifyRequest request, Done done) {
  auto work = std::make_shared<Work>();
  work->bytes = SizeInBytes(request.input);
  work->request = std::move(request);
  work->done = std::move(done);
  work->arrival = Clock::now();
  {
    absl::MutexLock lock(&mutex_);
    if (requests_ < options_.max_requests && bytes_ + work->bytes <= options_.max_bytes) {
      ++requests_;
      bytes_ += work->bytes;
      queue_.push_back(std::move(work));
      return;
    }
  }
  work->done(absl::ResourceExhaustedError(
      "Too many images wait to be classified already; try again in a moment."));
}

void Classifier::Run() {
  while (const WorkPtr work = Take()) Process(work);
}

Classifier::WorkPtr Classifier::Take() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &Classifier::HasWork));
  if (ending_) return nullptr;
  WorkPtr work = std::move(queue_.front());
  queue_.pop_front();
  return work;
}

void Classifier::Process(const WorkPtr& work) {
  if (work->request.cancelled && work->request.cancelled()) {
    return Answer(work, absl::CancelledError("The call was cancelled."));
  }
  if (work->engine == nullptr && !Prepare(work)) return;
  Answer(work, Compute(*work));
}

bool Classifier::Prepare(const WorkPtr& work) {
  auto version = source_->Resolve(work->request.model, work->request.reference);
  if (!version.ok()) {
    Answer(work, version.status());
    return false;
  }
  work->version = *std::move(version);
  auto engine = versions_->Get(
      work->version, [this, work](EngineResult loaded) { OnLoaded(work, std::move(loaded)); });
  if (!engine.has_value()) return false;
  if (engine->ok()) {
    work->engine = **std::move(engine);
    return true;
  }
  OnLoaded(work, *std::move(engine));
  return false;
}

void Classifier::OnLoaded(const WorkPtr& work, EngineResult engine) {
  if (!engine.ok()) {
    return Answer(work, absl::UnavailableError(absl::StrCat(
                            "Version ", work->version.number, " of model ", work->version.model,
                            " cannot be used: ", engine.status().message())));
  }
  work->engine = *std::move(engine);
  absl::MutexLock lock(&mutex_);
  queue_.push_front(work);  // It has waited long enough.
}

absl::StatusOr<ClassifyResult> Classifier::Compute(const Work& work) const {
  const Clock::time_point begin = Clock::now();
  const Engine& engine = *work.engine;
  const int classes = static_cast<int>(engine.class_names().size());
  const auto top_k = ResolveTopK(work.request.top_k, classes);
  if (!top_k.ok()) return top_k.status();
  const auto images = CheckImages(work.request.input, engine.input_shape(), options_.limits);
  if (!images.ok()) return images.status();
  const auto probabilities = engine.Classify(images->pixels);
  if (!probabilities.ok()) return probabilities.status();
  ClassifyResult result;
  result.model = work.version.model;
  result.version = work.version.number;
  result.engine = work.engine;
  result.images.reserve(images->count);
  for (std::size_t i = 0; i < images->count; ++i) {
    const auto image =
        absl::MakeConstSpan(*probabilities)
            .subspan(i * static_cast<std::size_t>(classes), static_cast<std::size_t>(classes));
    result.images.push_back(Rank(image, *top_k));
  }
  result.queue_time = absl::FromChrono(begin - work.arrival);
  result.compute_time = absl::FromChrono(Clock::now() - begin);
  return result;
}

void Classifier::Answer(const WorkPtr& work, absl::StatusOr<ClassifyResult> result) {
  {
    absl::MutexLock lock(&mutex_);
    --requests_;
    bytes_ -= work->bytes;
  }
  work->done(std::move(result));
}

}  // namespace atelier::serving
