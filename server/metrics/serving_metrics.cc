#include "server/metrics/serving_metrics.h"

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/metrics/version_metrics.h"

namespace atelier::metrics {
namespace {

// No model and no version is called so.
constexpr char kOther[] = "_other";

}  // namespace

// Series are made and removed under the lock, so a version that comes back while the last holder
// lets go of it never shares them with what is about to go.
class ServingMetrics::Versions : public std::enable_shared_from_this<Versions> {
 public:
  Versions(const Options& options, const Clock* clock, prometheus::Registry* registry)
      : options_(options),
        clock_(clock),
        families_(registry),
        swaps_(prometheus::BuildCounter()
                   .Name("atelier_model_swaps_total")
                   .Help("Changes of an alias to another version, warmed before.")
                   .Register(*registry)) {}

  std::shared_ptr<serving::VersionObserver> Hold(const std::string& model, std::int64_t version) {
    absl::MutexLock lock(&mutex_);
    const Number number(model, version);
    const prometheus::Labels labels = {{"model", model}, {"version", absl::StrCat(version)}};
    Version& held = versions_[number];
    if (held.counts == nullptr) held.counts = MakeCounts(model, labels);
    if (held.metrics == nullptr) {
      held.metrics = std::make_unique<VersionMetrics>(&families_, labels, held.counts.get());
    }
    ++held.holders;
    return {held.metrics.get(),
            [self = shared_from_this(), number](VersionMetrics*) { self->Release(number); }};
  }

  void CountSwap(const std::string& model) {
    absl::MutexLock lock(&mutex_);
    auto swaps = swaps_of_.find(model);
    if (swaps == swaps_of_.end()) swaps = swaps_of_.find(kOther);
    if (swaps != swaps_of_.end()) swaps->second->Increment();
  }

 private:
  using Number = std::pair<std::string, std::int64_t>;  // Model and version.
  struct Version {
    std::shared_ptr<VersionCounts> counts;
    std::unique_ptr<VersionMetrics> metrics;  // While it is held.
    int holders = 0;
    absl::Duration released;  // When it was held last, by the clock's Elapsed.
  };

  // The version's own, or those that are shared by the ones for which there is no room.
  std::shared_ptr<VersionCounts> MakeCounts(const std::string& model,
                                            const prometheus::Labels& labels)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // The new version has its entry already.
    if (versions_.size() > options_.max_versions && !ForgetOldest()) {
      AddSwaps(kOther);
      if (other_ == nullptr) {
        other_ = std::make_shared<VersionCounts>(
            &families_, prometheus::Labels{{"model", kOther}, {"version", kOther}});
      }
      return other_;
    }
    AddSwaps(model);
    return std::make_shared<VersionCounts>(&families_, labels);
  }

  void AddSwaps(const std::string& model) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    prometheus::Counter*& swaps = swaps_of_[model];
    if (swaps == nullptr) swaps = &swaps_.Add({{"model", model}});
  }

  // Makes room; false if every version was in memory lately.
  bool ForgetOldest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    auto oldest = versions_.end();
    for (auto version = versions_.begin(); version != versions_.end(); ++version) {
      // Held, or the one that room is made for.
      if (version->second.holders > 0 || version->second.counts == nullptr) continue;
      if (oldest == versions_.end() || version->second.released < oldest->second.released) {
        oldest = version;
      }
    }
    if (oldest == versions_.end()) return false;
    if (clock_->Elapsed() - oldest->second.released < options_.retention) return false;
    Forget(oldest);
    return true;
  }

  void Forget(std::map<Number, Version>::iterator version) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const std::string model = version->first.first;
    versions_.erase(version);
    const auto next = versions_.lower_bound({model, 0});
    if (next != versions_.end() && next->first.first == model) return;
    const auto swaps = swaps_of_.find(model);
    if (swaps == swaps_of_.end()) return;
    swaps_.Remove(swaps->second);
    swaps_of_.erase(swaps);
  }

  void Release(const Number& number) {
    absl::MutexLock lock(&mutex_);
    const auto held = versions_.find(number);
    if (--held->second.holders > 0) return;
    held->second.metrics.reset();
    held->second.released = clock_->Elapsed();
    if (held->second.counts == other_) Forget(held);
  }

  const Options options_;
  const Clock* const clock_;
  ServingFamilies families_;
  prometheus::Family<prometheus::Counter>& swaps_;

  absl::Mutex mutex_;
  std::map<Number, Version> versions_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<VersionCounts> other_ ABSL_GUARDED_BY(mutex_);  // Once it was needed.
  std::map<std::string, prometheus::Counter*> swaps_of_ ABSL_GUARDED_BY(mutex_);  // By model.
};

ServingMetrics::ServingMetrics(const Options& options, const Clock* clock,
                               prometheus::Registry* registry)
    : versions_(std::make_shared<Versions>(options, clock, registry)) {}

ServingMetrics::~ServingMetrics() = default;

std::shared_ptr<serving::VersionObserver> ServingMetrics::Observe(const std::string& model,
                                                                  std::int64_t version) {
  return versions_->Hold(model, version);
}

void ServingMetrics::Swapped(const std::string& model) { versions_->CountSwap(model); }

}  // namespace atelier::metrics
