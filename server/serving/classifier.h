// Classifies images with any version of any model, on a fixed number of threads of its own.
// Requests wait in one bounded queue; a request whose version is not in memory waits aside while
// that is loaded. Every answer names the version that gave it.
#ifndef ATELIER_SERVER_SERVING_CLASSIFIER_H_
#define ATELIER_SERVER_SERVING_CLASSIFIER_H_

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/serving/engine.h"
#include "server/serving/image_input.h"
#include "server/serving/loaded_versions.h"
#include "server/serving/version_source.h"

namespace atelier::serving {

// Images to classify.
struct ClassifyRequest {
  std::string model;
  std::string reference;  // A version's number, an alias, or empty for the latest.
  ImageInput input;       // What it views must stay until the answer is there.
  int top_k = 0;          // Classes to answer with, 1 to all of them; 0 for 3, or all if fewer.
  std::function<bool()> cancelled;  // Asked before anything is computed. May be empty.
};

// A class and its probability.
struct RankedClass {
  int index = 0;
  float probability = 0;
};

struct ClassifyResult {
  std::string model;
  std::int64_t version = 0;
  std::shared_ptr<const Engine> engine;          // For the classes' names.
  std::vector<std::vector<RankedClass>> images;  // Most probable class first.
  absl::Duration queue_time;                     // Waiting, also for the version to be loaded.
  absl::Duration compute_time;                   // Decoding and computing.
};

// Thread-safe.
class Classifier {
 public:
  struct Options {
    int threads = 1;                                 // That compute, each on one core.
    std::size_t max_requests = 1000;                 // Waiting or being computed.
    std::size_t max_bytes = std::size_t{256} << 20;  // Of their images.
    InputLimits limits = {};
    LoadedVersions::Options versions = {};
  };
  // Called once, on a thread of the classifier's or on the caller's if the queue is full. Must not
  // wait.
  using Done = std::function<void(absl::StatusOr<ClassifyResult>)>;

  // `source` must outlive the classifier.
  Classifier(Options options, VersionSource* source, EngineLoader loader = LoadEngine);
  // Answers what waits with UNAVAILABLE.
  ~Classifier();
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;

  // Never waits. Errors: the source's; InputError (input_error.h) for the images and `top_k`;
  // UNAVAILABLE if the version's archive cannot be loaded; RESOURCE_EXHAUSTED if the queue is full
  // or memory runs out; CANCELLED.
  void Classify(ClassifyRequest request, Done done);

  // Frees a version that was deleted.
  void Forget(const std::string& model, std::int64_t number) { versions_->Forget(model, number); }

 private:
  using Clock = std::chrono::steady_clock;

  struct Work {
    ClassifyRequest request;
    Done done;
    std::size_t bytes = 0;
    Clock::time_point arrival;
    Version version;                       // Once resolved.
    std::shared_ptr<const Engine> engine;  // Once loaded.
  };
  using WorkPtr = std::shared_ptr<Work>;

  void Run();
  // Null when the threads have to end.
  WorkPtr Take();
  void Process(const WorkPtr& work);
  // Finds the engine; false if the work has been answered or waits for its version.
  bool Prepare(const WorkPtr& work);
  void OnLoaded(const WorkPtr& work, EngineResult engine);
  absl::StatusOr<ClassifyResult> Compute(const Work& work) const;
  void Answer(const WorkPtr& work, absl::StatusOr<ClassifyResult> result);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_ || !queue_.empty(); }

  const Options options_;
  VersionSource* const source_;

  absl::Mutex mutex_;
  std::deque<WorkPtr> queue_ ABSL_GUARDED_BY(mutex_);
  std::size_t requests_ ABSL_GUARDED_BY(mutex_) = 0;  // Admitted and not answered.
  std::size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  std::unique_ptr<LoadedVersions> versions_;
  std::vector<std::thread> threads_;
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_CLASSIFIER_H_
