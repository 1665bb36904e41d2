// What serving reports of its work: the seam between serving and its metrics.
// Serving calls these; server/metrics implements them. What is here does nothing, so that tests and
// benchmarks need no implementation of their own.
#ifndef ATELIER_SERVER_SERVING_SERVING_OBSERVER_H_
#define ATELIER_SERVER_SERVING_SERVING_OBSERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace atelier::serving {

// Why a batch was computed when it was.
enum class DispatchReason {
  kFull,   // It had as many images as a batch may have.
  kIdle,   // An engine was idle and took what was there.
  kDelay,  // Its oldest image had waited as long as it may.
};

// A request that was answered.
struct RequestReport {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::int64_t images = 0;  // That were classified; 0 if the request failed.
  absl::Duration total;     // From arrival to answer.
  // Of a request that was computed; those that were turned away or given up before are not part of
  // the histograms of the two.
  bool computed = false;
  absl::Duration queue;    // Waiting, also for the version to be loaded.
  absl::Duration compute;  // Decoding and computing.
};

// One version of a model. Thread-safe; never waits, so it may be called on any thread.
//
// Its gauges exist for as long as somebody holds it: hold it in the version's entry from the first
// try to load it until it leaves memory. What is counted stays.
class VersionObserver {
 public:
  virtual ~VersionObserver() = default;

  // Loading and warming took so long, and the weights take so many bytes. Again after a reload.
  virtual void Loaded(absl::Duration /*duration*/, std::int64_t /*memory_bytes*/) {}

  // A request for this version is there. Exactly one Answered follows.
  virtual void Arrived() {}
  virtual void Answered(const RequestReport& /*report*/) {}

  // So many images more (or fewer, if negative) wait for an engine.
  virtual void QueueChanged(std::int64_t /*images*/) {}

  // A batch of so many images, without those that only fill it up, was computed.
  virtual void Computed(std::int64_t /*images*/, DispatchReason /*reason*/) {}
};

// Thread-safe; must outlive serving.
class ServingObserver {
 public:
  virtual ~ServingObserver() = default;

  // The observer of one version; the same one for all who hold it at the same time.
  virtual std::shared_ptr<VersionObserver> Observe(const std::string& /*model*/,
                                                   std::int64_t /*version*/) {
    return std::make_shared<VersionObserver>();
  }

  // An alias (or `latest`) of the model now leads to another version than before, which was loaded
  // and warmed beside the old one. Counted once a version of the model was observed.
  virtual void Swapped(const std::string& /*model*/) {}
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_SERVING_OBSERVER_H_
