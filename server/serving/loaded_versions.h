// The versions that are in memory. A version is loaded when it is first asked for, on a thread of
// its own, while others are served; the least recently used one leaves when there are too many.
//
// What is in memory counts only as long as the archive is the file it was loaded from: once that is
// missing or another, the version is loaded again, which fails if its checksum is wrong.
#ifndef ATELIER_SERVER_SERVING_LOADED_VERSIONS_H_
#define ATELIER_SERVER_SERVING_LOADED_VERSIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/serving/engine.h"

namespace atelier::serving {

using EngineResult = absl::StatusOr<std::shared_ptr<const Engine>>;

// Thread-safe.
class LoadedVersions {
 public:
  struct Options {
    std::size_t max_loaded =
        8;  // Versions in memory; those in use beyond it leave with their users.
    // A version that could not be loaded is not tried again for so long, while its file is the
    // same.
    absl::Duration retry_delay = absl::Seconds(5);
  };
  // Called on the loading thread; must not wait.
  using Ready = std::function<void(EngineResult)>;

  LoadedVersions(Options options, EngineLoader loader);
  // Everyone who waits is answered with UNAVAILABLE.
  ~LoadedVersions();
  LoadedVersions(const LoadedVersions&) = delete;
  LoadedVersions& operator=(const LoadedVersions&) = delete;

  // The version's engine, or why there is none (UNAVAILABLE, with a sentence), if that is known.
  // Else nothing: `ready` will be called with it once.
  std::optional<EngineResult> Get(const Version& version, Ready ready);

  // Frees a version that was deleted.
  void Forget(const std::string& model, std::int64_t number);

  std::size_t loaded() const;

 private:
  // Which file a path names at the moment; two of them are equal if it is the same and unchanged.
  struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t changed_ns = 0;
    friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
  };
  using Key = std::pair<std::string, std::int64_t>;

  struct Entry {
    Version version;
    bool loading = false;
    std::vector<Ready> waiting;  // While loading.
    // After loading.
    FileIdentity file;
    EngineResult engine = absl::UnknownError("");
    std::chrono::steady_clock::time_point loaded_at;
    std::uint64_t last_use = 0;
  };

  static std::optional<FileIdentity> Identify(const std::string& path);

  bool IsCurrent(const Entry& entry, const FileIdentity& file) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();
  EngineResult Load(const Version& version, FileIdentity* file) const;
  // Engines that have to leave; destroy them without the lock.
  std::vector<EngineResult> Evict() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasWork() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ending_ || !queue_.empty(); }

  const Options options_;
  const EngineLoader loader_;

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<Key, Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::deque<Key> queue_ ABSL_GUARDED_BY(mutex_);  // To be loaded; each key once.
  std::uint64_t uses_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_LOADED_VERSIONS_H_
