// The versions in memory, and which of them a model's name, alias or version number leads to.
//
// What is asked for is loaded and warmed on one thread, while others are served. When a reference
// leads elsewhere than before (an alias was set, a job made a new latest version), the new version
// is loaded beside the old one and the reference then switches at once; if it cannot be loaded, the
// old one stays and the log says why. A version leaves memory when it was not asked for in a while,
// when there are too many, when it is deleted or unloaded, and when its archive is no longer the
// file it was loaded from. What is loaded is written to a file, from which the next server restores
// it.
#ifndef ATELIER_SERVER_SERVING_VERSION_TABLE_H_
#define ATELIER_SERVER_SERVING_VERSION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/serving/engine.h"
#include "server/serving/served_version.h"
#include "server/serving/serving_observer.h"
#include "server/serving/version_source.h"
#include "server/serving/version_state.h"

namespace atelier::serving {

// What those get whose answer the server's end came before.
absl::Status Stopping();

// Thread-safe.
class VersionTable {
 public:
  struct Options {
    std::size_t max_loaded = 8;               // Versions in memory.
    absl::Duration idle = absl::Minutes(30);  // Not asked for so long, a version leaves memory.
    // A version that could not be loaded is not tried again for so long, while its file is the
    // same.
    absl::Duration retry_delay = absl::Seconds(5);
    // How often the archives are looked at for changes, and references that could not switch are
    // tried again.
    absl::Duration check_interval = absl::Seconds(1);
    std::string state_path;  // Remembers what is loaded, from Restore on; empty for nothing.
    // Whether a version stays in memory although its archive is missing, until the source has it no
    // longer.
    bool keeps_without_archive = false;
    ServingObserver* observer = nullptr;  // Must outlive the table; null for nobody.
    std::function<void(const std::string& sentence)> log;  // May be empty.
  };
  using Result = absl::StatusOr<std::shared_ptr<ServedVersion>>;
  // Must not wait.
  using Ready = std::function<void(Result)>;

  // Whether a version can answer.
  enum class State { kReady, kLoading, kUnloaded, kFailed };
  struct Standing {
    Version version;
    State state = State::kUnloaded;
    std::string reason;  // Why not; empty if it is ready.
  };

  // `source` must outlive the table.
  VersionTable(Options options, VersionSource* source, EngineLoader loader);
  // Everyone who waits is answered with UNAVAILABLE.
  ~VersionTable();
  VersionTable(const VersionTable&) = delete;
  VersionTable& operator=(const VersionTable&) = delete;

  // Calls `ready` once with the version that the reference leads to: at once if it is in memory,
  // else on the loading thread when it is. Errors: the source's; UNAVAILABLE with a sentence if the
  // version cannot be loaded or was unloaded. Never waits.
  void Get(const std::string& model, const std::string& reference, Ready ready);

  // References of the model will soon lead to where the registry says now. Never waits.
  void Follow(const std::string& model);

  // What follows waits for the loading thread; not to be called on it.

  // The same, waiting for it.
  Result Load(const std::string& model, const std::string& reference);
  // Loads what the last server had in memory; what cannot be loaded is left out.
  void Restore();
  // References of the model lead to where the registry says now when this returns.
  void Refresh(const std::string& model);
  // Frees a version that was deleted.
  void Forget(const std::string& model, std::int64_t number);
  // Takes a version (or, without a number, the whole model) out of memory and keeps it out until it
  // is allowed again.
  void Unload(const std::string& model, std::optional<std::int64_t> number);
  void Allow(const std::string& model, std::optional<std::int64_t> number);

  // True if a request for this would be answered, as far as is known: what it leads to is in
  // memory, or nothing speaks against loading it when it is asked for. Loads nothing. Waits for the
  // source. Errors: the source's.
  absl::StatusOr<bool> CanAnswer(const std::string& model, const std::string& reference) const;
  // How a version stands; does not wait.
  Standing StandingOf(const Version& version) const;
  // What is in memory.
  std::vector<std::shared_ptr<ServedVersion>> Loaded() const;

 private:
  using Route = std::pair<std::string, std::string>;    // Model and reference.
  using Number = std::pair<std::string, std::int64_t>;  // Model and version.
  using ServedPtr = std::shared_ptr<ServedVersion>;

  void Run();
  void Post(std::function<void()> task);
  void PostAndWait(std::function<void()> task);

  // On the loading thread.
  Result Obtain(const Route& route);
  Result LoadVersion(const Version& version);
  // `file` is the archive, which may be brought to its place first.
  Result LoadAnew(const Version& version, std::optional<models::FileIdentity>* file);
  void FollowRegistry(const std::string& model);
  // Looks for files that changed, tries again what could not switch, and frees what is idle.
  void Check();
  void Drop(const Number& number);
  // What is in memory, if it still counts now that its archive is this file.
  ServedPtr Valid(const VersionState& state, const std::optional<models::FileIdentity>& file) const;
  void EraseRoutesTo(const ServedPtr& served) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Frees the versions that were least recently used, but never `kept`, which was just loaded:
  // its caller is about to use it.
  void EvictBeyondLimit(const ServedPtr& kept);
  void SaveState();

  // The version's state; null while there is nothing to be remembered of it.
  const VersionState* Find(const Number& number) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ForgetIfBlank(const Number& number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool IsUnloaded(const Number& number) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Log(const std::string& sentence) const;

  const Options options_;
  VersionSource* const source_;
  const EngineLoader loader_;

  mutable absl::Mutex mutex_;
  absl::CondVar changed_;
  // Of the versions that something is known of; changed by the loading thread alone.
  absl::flat_hash_map<Number, VersionState> states_ ABSL_GUARDED_BY(mutex_);
  // Models that are kept out of memory with all their versions.
  std::set<std::string> unloaded_models_ ABSL_GUARDED_BY(mutex_);
  // What references lead to, each of them ready.
  absl::flat_hash_map<Route, ServedPtr> routes_ ABSL_GUARDED_BY(mutex_);
  // Who waits for a reference that leads nowhere yet.
  absl::flat_hash_map<Route, std::vector<Ready>> waiting_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;

  // The loading thread's: what it said last of each reference that could not switch, whether it may
  // save, and what it saved.
  absl::flat_hash_map<Route, std::string> complaints_;
  bool restored_ = false;
  std::string saved_state_;
  std::thread thread_;
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_VERSION_TABLE_H_
