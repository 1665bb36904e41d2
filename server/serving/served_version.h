// One version of a model in memory: its engine, and what is counted of it. Shared by everyone who
// uses it, so that a version which was replaced leaves memory with its last request.
#ifndef ATELIER_SERVER_SERVING_SERVED_VERSION_H_
#define ATELIER_SERVER_SERVING_SERVED_VERSION_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include "server/serving/engine.h"
#include "server/serving/serving_observer.h"
#include "server/serving/version_source.h"
#include "server/serving/version_statistics.h"

namespace atelier::serving {

// Time that never goes back, as serving measures everything.
using SteadyTime = std::chrono::steady_clock::time_point;

// Thread-safe.
struct ServedVersion {
  ServedVersion(Version its_version, std::shared_ptr<const Engine> its_engine,
                std::shared_ptr<VersionObserver> its_observer)
      : version(std::move(its_version)),
        engine(std::move(its_engine)),
        observer(std::move(its_observer)) {}

  void Touch(SteadyTime now) { last_use.store(now, std::memory_order_relaxed); }

  const Version version;
  const std::shared_ptr<const Engine> engine;
  const std::shared_ptr<VersionObserver> observer;
  VersionStatistics statistics;
  std::atomic<SteadyTime> last_use = SteadyTime();
  // What its last batch took; what is left of a deadline is compared with it.
  std::atomic<std::chrono::nanoseconds> last_batch = std::chrono::nanoseconds(0);
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_SERVED_VERSION_H_
