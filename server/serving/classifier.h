// Classifies images with any version of any model. A request goes through three hands, none of
// which waits for another: the table that knows what is in memory (and loads what is not), threads
// that decode image files and check large inputs, and the batcher that computes. Every answer names
// the version that gave it.
#ifndef ATELIER_SERVER_SERVING_CLASSIFIER_H_
#define ATELIER_SERVER_SERVING_CLASSIFIER_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "server/serving/batcher.h"
#include "server/serving/engine.h"
#include "server/serving/image_input.h"
#include "server/serving/served_version.h"
#include "server/serving/version_source.h"
#include "server/serving/version_table.h"

namespace atelier::serving {

// Images to classify.
struct ClassifyRequest {
  std::string model;
  std::string reference;    // A version's number, an alias, or empty for the latest.
  ImageInput input;         // What it views must stay until the answer is there.
  int top_k = 0;            // Classes to answer with, 1 to all of them; 0 for 3, or all if fewer.
  bool calibrated = false;  // Whether to apply the version's temperature.
  SteadyTime deadline = SteadyTime::max();
  // Asked before anything is computed, and while files are decoded. May be empty; never waits.
  std::function<bool()> cancelled;
  // What else must be right, once it is known what answers. May be empty; never waits.
  std::function<absl::Status(const Engine&)> check;
};

// A class and its probability.
struct RankedClass {
  int index = 0;
  float probability = 0;
};

// The most probable classes, most probable first; the lower-numbered one of equals. Requires so
// many.
std::vector<RankedClass> RankClasses(absl::Span<const float> probabilities, int classes);

struct ClassifyResult {
  std::shared_ptr<const ServedVersion> version;
  std::vector<float> probabilities;  // Images × classes.
  // That was applied to them; nothing if they are as they were computed.
  std::optional<double> temperature;
  std::size_t images = 0;
  int top_k = 0;                  // Resolved.
  absl::Duration queue_time;      // Waiting for the version to be loaded and for an engine.
  absl::Duration input_time;      // Decoding and checking.
  absl::Duration compute_time;    // From the begin of its first batch to the end of its last.
  std::size_t largest_batch = 0;  // Images that were computed together with some of it, at most.

  // RankClasses of one image.
  std::vector<RankedClass> Rank(std::size_t image, int classes) const;
  std::vector<RankedClass> Rank(std::size_t image) const { return Rank(image, top_k); }
};

// Thread-safe.
class Classifier {
 public:
  struct Options {
    Batcher::Options batching = {};
    int decoders = 1;                                // Threads.
    std::size_t max_requests = 10'000;               // That have not been answered.
    std::size_t max_bytes = std::size_t{256} << 20;  // Of their images.
    InputLimits limits = {};
    VersionTable::Options versions = {};
  };
  // Called once, on a thread of the classifier's, or on the caller's if the request cannot be
  // taken. Must not wait.
  using Done = std::function<void(absl::StatusOr<ClassifyResult>)>;

  // `source` must outlive the classifier.
  Classifier(Options options, VersionSource* source, EngineLoader loader = LoadEngine);
  // Answers what waits with UNAVAILABLE.
  ~Classifier();
  Classifier(const Classifier&) = delete;
  Classifier& operator=(const Classifier&) = delete;

  // Never waits. Errors: the source's; InputError (input_error.h) for the images and `top_k`; what
  // `check` says; FAILED_PRECONDITION if the version has no temperature to calibrate with;
  // UNAVAILABLE if the version cannot be loaded; RESOURCE_EXHAUSTED if too much waits
  // or memory runs out; DEADLINE_EXCEEDED; CANCELLED.
  void Classify(ClassifyRequest request, Done done);

  VersionTable& versions() { return *versions_; }
  VersionSource& source() { return *source_; }
  const Options& options() const { return options_; }

 private:
  // One request on its way; owned by its item while that is computed.
  struct Work {
    ClassifyRequest request;
    Done done;
    std::size_t bytes = 0;
    SteadyTime arrival;
    std::shared_ptr<ServedVersion> version;  // Once loaded.
    int top_k = 0;
    CheckedImages images;
    absl::Duration input_time;
  };
  using WorkPtr = std::shared_ptr<Work>;

  bool Admit(std::size_t bytes);
  void OnVersion(const WorkPtr& work, VersionTable::Result version);
  // Decodes and checks, then hands on to the batcher.
  void Prepare(const WorkPtr& work);
  void Decode();
  void OnComputed(const WorkPtr& work, BatchItem& item);
  void Answer(const WorkPtr& work, absl::StatusOr<ClassifyResult> result);
  void Report(const Work& work, const absl::StatusOr<ClassifyResult>& result);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return ending_ || !undecoded_.empty();
  }

  const Options options_;
  VersionSource* const source_;

  absl::Mutex mutex_;
  std::size_t requests_ ABSL_GUARDED_BY(mutex_) = 0;  // Admitted and not answered.
  std::size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<WorkPtr> undecoded_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  // In the order in which a request goes through them, each of which may be the last to have it.
  std::unique_ptr<VersionTable> versions_;
  std::vector<std::thread> decoders_;
  std::unique_ptr<Batcher> batcher_;
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_CLASSIFIER_H_
