#include "server/metrics/serving_metrics.h"

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/metrics/version_metrics.h"

namespace atelier::metrics {

// What is held at the moment. Series are made and removed under the lock, so a version that comes
// back while the last holder lets go of it never shares them with what is about to go.
class ServingMetrics::Versions : public std::enable_shared_from_this<Versions> {
 public:
  explicit Versions(prometheus::Registry* registry)
      : families_(registry),
        swaps_(prometheus::BuildCounter()
                   .Name("atelier_model_swaps_total")
                   .Help("Changes of an alias to another version, warmed before.")
                   .Register(*registry)) {}

  std::shared_ptr<serving::VersionObserver> Hold(const std::string& model, std::int64_t version) {
    absl::MutexLock lock(&mutex_);
    Model& entry = models_[model];
    if (entry.swaps == nullptr) entry.swaps = &swaps_.Add({{"model", model}});
    Version& held = entry.versions[version];
    if (held.metrics == nullptr) {
      held.metrics = std::make_unique<VersionMetrics>(&families_, model, version);
    }
    ++held.holders;
    return {held.metrics.get(), [self = shared_from_this(), model, version](VersionMetrics*) {
              self->Release(model, version);
            }};
  }

  void CountSwap(const std::string& model) {
    absl::MutexLock lock(&mutex_);
    const auto entry = models_.find(model);
    if (entry != models_.end()) entry->second.swaps->Increment();
  }

 private:
  struct Version {
    std::unique_ptr<VersionMetrics> metrics;
    int holders = 0;
  };
  struct Model {
    prometheus::Counter* swaps = nullptr;
    std::map<std::int64_t, Version> versions;
  };

  void Release(const std::string& model, std::int64_t version) {
    absl::MutexLock lock(&mutex_);
    const auto entry = models_.find(model);
    const auto held = entry->second.versions.find(version);
    if (--held->second.holders > 0) return;
    entry->second.versions.erase(held);
    if (!entry->second.versions.empty()) return;
    swaps_.Remove(entry->second.swaps);
    models_.erase(entry);
  }

  ServingFamilies families_;
  prometheus::Family<prometheus::Counter>& swaps_;
  absl::Mutex mutex_;
  std::map<std::string, Model> models_ ABSL_GUARDED_BY(mutex_);
};

ServingMetrics::ServingMetrics(prometheus::Registry* registry)
    : versions_(std::make_shared<Versions>(registry)) {}

ServingMetrics::~ServingMetrics() = default;

std::shared_ptr<serving::VersionObserver> ServingMetrics::Observe(const std::string& model,
                                                                  std::int64_t version) {
  return versions_->Hold(model, version);
}

void ServingMetrics::Swapped(const std::string& model) { versions_->CountSwap(model); }

}  // namespace atelier::metrics
