// The registry of another server as a serving replica knows it: read again and again, and followed.
// While it cannot be read, or what is read is no registry, what was read last stays.
#ifndef ATELIER_SERVER_REGISTRY_REGISTRY_MIRROR_H_
#define ATELIER_SERVER_REGISTRY_REGISTRY_MIRROR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atelier/published/v1/registry.pb.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/registry/registry_observer.h"
#include "server/registry/registry_place.h"
#include "server/serving/version_source.h"

namespace atelier::registry {

// Thread-safe, except that one thread calls SetListener and Tick.
class RegistryMirror final : public serving::VersionSource {
 public:
  struct Options {
    absl::Duration interval = absl::Seconds(1);  // Between two looks.
    // A file for a copy of what was read last, by which the next replica begins if it cannot read
    // the registry; empty for none.
    std::string copy_path = {};
    std::function<void(const std::string& sentence)> log;  // Required.
  };
  // Told by Tick of what changed; each may be empty.
  struct Listener {
    std::function<void()> ready;  // The first registry is there.
    std::function<void(const std::string& model)> follow;
    std::function<void(const std::string& model, std::int64_t version)> forget;
  };

  // All must live as long.
  RegistryMirror(Options options, const Clock* clock, RegistryPlace* place,
                 RegistryObserver* observer)
      : options_(std::move(options)), clock_(clock), place_(place), observer_(observer) {}

  void SetListener(Listener listener) { listener_ = std::move(listener); }
  // Looks; answers with how long until the next look.
  absl::Duration Tick();

  // Whether a registry was read, ever. Without one all calls below are UNAVAILABLE.
  bool ready() const { return models() != nullptr; }

  absl::StatusOr<serving::Version> Resolve(const std::string& model,
                                           const std::string& reference) override;
  absl::StatusOr<std::vector<serving::Version>> Versions(const std::string& model) override;
  absl::StatusOr<std::vector<std::string>> Models() override;
  bool MayFetch() const override { return place_->fetches(); }
  absl::Status Fetch(const serving::Version& version) override;

  // As jobs::ModelStore.
  absl::StatusOr<v1::ListModelsResponse> ListModels(int page_size, absl::string_view page_token);
  absl::StatusOr<v1::Model> GetModel(const std::string& model, int page_size,
                                     absl::string_view page_token);

 private:
  using ModelMap = std::map<std::string, v1::Model>;  // By bare names.

  absl::Status Look();
  void Recall();
  void KeepCopy(const std::string& bytes) const;
  void Follow(published::v1::Registry registry);
  void Tell(const ModelMap& before, const ModelMap& now) const;
  void Report(const absl::Status& status);
  serving::Version ToVersion(const std::string& model, const v1::ModelVersion& version) const;

  std::shared_ptr<const ModelMap> models() const {
    MutexLock lock(&mutex_);
    return models_;
  }
  absl::StatusOr<std::shared_ptr<const ModelMap>> Known() const;
  // Stays while what it is of is held.
  absl::StatusOr<std::shared_ptr<const v1::Model>> Find(const std::string& model) const;

  const Options options_;
  const Clock* const clock_;
  RegistryPlace* const place_;
  RegistryObserver* const observer_;

  mutable Mutex mutex_;
  std::shared_ptr<const ModelMap> models_ ABSL_GUARDED_BY(mutex_);  // Null before the first.

  // The ticking thread's.
  Listener listener_;
  absl::Status refusal_;  // Of what was read last; OK if it is followed.
  std::optional<absl::Time> failing_since_;
  std::string complaint_;  // That was logged since then.
};

}  // namespace atelier::registry

#endif  // ATELIER_SERVER_REGISTRY_REGISTRY_MIRROR_H_
