#include "server/serving/classifier.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "models/network/probabilities.h"
#include "server/serving/input_error.h"

namespace atelier::serving {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDefaultTopK = 3;
// Floats up to here are checked on the caller's thread: that takes some ten microseconds.
constexpr std::size_t kQuickBytes = 256 << 10;

absl::StatusOr<int> ResolveTopK(int requested, int classes) {
  if (requested < 0 || requested > classes) {
    return InputError("top_k", absl::StrCat("top_k is ", requested, "; it must be 1 to ", classes,
                                            ", the classes of the model, or 0 for the default."));
  }
  return requested == 0 ? std::min(kDefaultTopK, classes) : requested;
}

absl::Status NotCalibrated(const Version& version) {
  return absl::FailedPreconditionError(
      absl::StrCat(version.model, "@", version.number,
                   " was trained before temperatures were fitted, so its probabilities cannot be "
                   "calibrated; ask "
                   "for them uncalibrated, or train it again."));
}

bool NeedsDecoder(const ImageInput& input) {
  if (std::holds_alternative<EncodedImages>(input)) return true;
  return std::holds_alternative<FloatImages>(input) && SizeInBytes(input) > kQuickBytes;
}

// Requires that the engine has a temperature.
void Calibrate(const Engine& engine, ClassifyResult* result) {
  result->temperature = engine.temperature();
  models::ApplyTemperature(*result->temperature,
                           static_cast<std::int64_t>(engine.class_names().size()),
                           absl::MakeSpan(result->probabilities));
}

// Whether its images are worth decoding.
absl::Status StillWanted(const ClassifyRequest& request) {
  if (request.cancelled && request.cancelled()) {
    return absl::CancelledError("The call was cancelled.");
  }
  if (Clock::now() >= request.deadline) {
    return absl::DeadlineExceededError("The deadline came before the images were decoded.");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<RankedClass> RankClasses(absl::Span<const float> probabilities, int classes) {
  std::vector<int> order(probabilities.size());
  std::iota(order.begin(), order.end(), 0);
  const auto value = [&](int index) { return probabilities[static_cast<std::size_t>(index)]; };
  std::partial_sort(order.begin(), order.begin() + classes, order.end(), [&](int a, int b) {
    return value(a) > value(b) || (value(a) == value(b) && a < b);
  });
  std::vector<RankedClass> ranked;
  ranked.reserve(static_cast<std::size_t>(classes));
  for (int i = 0; i < classes; ++i) {
    const int index = order[static_cast<std::size_t>(i)];
    ranked.push_back({index, value(index)});
  }
  return ranked;
}

std::vector<RankedClass> ClassifyResult::Rank(std::size_t image, int classes) const {
  const auto all = probabilities.size() / images;
  return RankClasses(absl::MakeConstSpan(probabilities).subspan(image * all, all), classes);
}

Classifier::Classifier(Options options, VersionSource* source, EngineLoader loader)
    : options_(std::move(options)),
      source_(source),
      versions_(std::make_unique<VersionTable>(options_.versions, source, std::move(loader))),
      batcher_(std::make_unique<Batcher>(options_.batching)) {
  for (int i = 0; i < options_.decoders; ++i) {
    decoders_.emplace_back([this] { Decode(); });
    pthread_setname_np(decoders_.back().native_handle(), absl::StrCat("decode-", i).c_str());
  }
}

Classifier::~Classifier() {
  versions_.reset();
  std::deque<WorkPtr> left;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    left.swap(undecoded_);
  }
  for (std::thread& decoder : decoders_) decoder.join();
  for (const WorkPtr& work : left) Answer(work, Stopping());
  batcher_.reset();
}

bool Classifier::Admit(std::size_t bytes) {
  absl::MutexLock lock(&mutex_);
  if (requests_ >= options_.max_requests || bytes_ + bytes > options_.max_bytes) return false;
  ++requests_;
  bytes_ += bytes;
  return true;
}

void Classifier::Classify(ClassifyRequest request, Done done) {
  const std::size_t bytes = SizeInBytes(request.input);
  if (!Admit(bytes)) {
    return done(absl::ResourceExhaustedError(
        "Too many images wait to be classified already; try again in a moment."));
  }
  auto work = std::make_shared<Work>();
  work->bytes = bytes;
  work->request = std::move(request);
  work->done = std::move(done);
  work->arrival = Clock::now();
  versions_->Get(
      work->request.model, work->request.reference,
      [this, work](VersionTable::Result version) { OnVersion(work, std::move(version)); });
}

void Classifier::OnVersion(const WorkPtr& work, VersionTable::Result version) {
  if (!version.ok()) return Answer(work, version.status());
  work->version = *std::move(version);
  work->version->observer->Arrived();
  const Engine& engine = *work->version->engine;
  const auto top_k =
      ResolveTopK(work->request.top_k, static_cast<int>(engine.class_names().size()));
  if (!top_k.ok()) return Answer(work, top_k.status());
  work->top_k = *top_k;
  if (work->request.calibrated && !engine.temperature().has_value()) {
    return Answer(work, NotCalibrated(work->version->version));
  }
  if (work->request.check) {
    if (absl::Status status = work->request.check(engine); !status.ok()) {
      return Answer(work, std::move(status));
    }
  }
  if (!NeedsDecoder(work->request.input)) return Prepare(work);
  {
    absl::MutexLock lock(&mutex_);
    if (!ending_) {
      undecoded_.push_back(work);
      return;
    }
  }
  Answer(work, Stopping());
}

void Classifier::Decode() {
  while (true) {
    WorkPtr work;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &Classifier::HasWork));
      if (ending_) return;
      work = std::move(undecoded_.front());
      undecoded_.pop_front();
    }
    absl::Status wanted = StillWanted(work->request);
    if (wanted.ok()) {
      Prepare(work);
    } else {
      Answer(work, std::move(wanted));
    }
  }
}

void Classifier::Prepare(const WorkPtr& work) {
  const SteadyTime begin = Clock::now();
  const Engine& engine = *work->version->engine;
  auto images = CheckImages(work->request.input, engine.input_shape(), options_.limits,
                            [&work] { return StillWanted(work->request); });
  if (!images.ok()) return Answer(work, images.status());
  work->images = *std::move(images);
  work->input_time = absl::FromChrono(Clock::now() - begin);
  auto item = std::make_shared<BatchItem>();
  item->version = work->version;
  item->pixels = work->images.pixels;
  item->images = work->images.count;
  item->arrival = work->arrival;
  item->deadline = work->request.deadline;
  item->cancelled = work->request.cancelled;
  item->probabilities.resize(item->images * engine.class_names().size());
  item->done = [this, work](BatchItem& computed) { OnComputed(work, computed); };
  if (absl::Status status = batcher_->Submit(item); !status.ok()) {
    Answer(work, std::move(status));
  }
}

void Classifier::OnComputed(const WorkPtr& work, BatchItem& item) {
  if (!item.status.ok()) return Answer(work, item.status);
  const SteadyTime now = Clock::now();
  ClassifyResult result;
  result.version = work->version;
  result.probabilities = std::move(item.probabilities);
  if (work->request.calibrated) Calibrate(*work->version->engine, &result);
  result.images = item.images;
  result.top_k = work->top_k;
  result.queue_time = absl::FromChrono(*item.begin - work->arrival) - work->input_time;
  result.input_time = work->input_time;
  result.compute_time = absl::FromChrono(now - *item.begin);
  result.largest_batch = item.largest_batch;
  Answer(work, std::move(result));
}

void Classifier::Answer(const WorkPtr& work, absl::StatusOr<ClassifyResult> result) {
  {
    absl::MutexLock lock(&mutex_);
    --requests_;
    bytes_ -= work->bytes;
  }
  if (work->version != nullptr) Report(*work, result);
  work->done(std::move(result));
}

void Classifier::Report(const Work& work, const absl::StatusOr<ClassifyResult>& result) {
  RequestReport report;
  report.code = result.status().code();
  report.total = absl::FromChrono(Clock::now() - work.arrival);
  if (result.ok()) {
    report.images = static_cast<std::int64_t>(result->images);
    report.computed = true;
    report.queue = result->queue_time;
    report.compute = result->input_time + result->compute_time;
    work.version->statistics.Answered(result->images, report.total, result->queue_time,
                                      result->input_time, result->compute_time, absl::Now());
  } else {
    work.version->statistics.Failed(report.total);
  }
  work.version->observer->Answered(report);
}

}  // namespace atelier::serving
