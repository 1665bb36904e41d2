#include "server/serving/loaded_versions.h"

#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace atelier::serving {
namespace {

absl::Status Missing(const std::string& path) {
  return absl::UnavailableError(absl::StrCat(path, " is missing."));
}

absl::Status Stopping() { return absl::UnavailableError("The server is stopping."); }

}  // namespace

LoadedVersions::LoadedVersions(Options options, EngineLoader loader)
    : options_(options), loader_(std::move(loader)), thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "model-loader");
}

LoadedVersions::~LoadedVersions() {
  std::vector<Ready> waiting;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    for (auto& [key, entry] : entries_) {
      std::move(entry.waiting.begin(), entry.waiting.end(), std::back_inserter(waiting));
      entry.waiting.clear();
    }
  }
  for (const Ready& ready : waiting) ready(Stopping());
  thread_.join();
}

std::optional<LoadedVersions::FileIdentity> LoadedVersions::Identify(const std::string& path) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) return std::nullopt;
  return FileIdentity{file.st_dev, file.st_ino, file.st_size,
                      file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec};
}

bool LoadedVersions::IsCurrent(const Entry& entry, const FileIdentity& file) const {
  if (entry.loading || entry.file != file) return false;
  return entry.engine.ok() || std::chrono::steady_clock::now() - entry.loaded_at <
                                  absl::ToChronoNanoseconds(options_.retry_delay);
}

std::optional<EngineResult> LoadedVersions::Get(const Version& version, Ready ready) {
  const auto file = Identify(version.archive_path);
  if (!file.has_value()) return Missing(version.archive_path);
  absl::MutexLock lock(&mutex_);
  if (ending_) return Stopping();
  const Key key(version.model, version.number);
  Entry& entry = entries_[key];
  entry.last_use = ++uses_;
  if (IsCurrent(entry, *file)) return entry.engine;
  entry.waiting.push_back(std::move(ready));
  if (!entry.loading) {
    entry.loading = true;
    entry.version = version;
    queue_.push_back(key);
  }
  return std::nullopt;
}

void LoadedVersions::Forget(const std::string& model, std::int64_t number) {
  EngineResult engine = absl::UnknownError("");
  absl::MutexLock lock(&mutex_);
  const auto entry = entries_.find(Key(model, number));
  // One that is being loaded leaves when it is the least used.
  if (entry == entries_.end() || entry->second.loading) return;
  engine = std::move(entry->second.engine);
  entries_.erase(entry);
}

std::size_t LoadedVersions::loaded() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<std::size_t>(std::count_if(
      entries_.begin(), entries_.end(),
      [](const auto& item) { return !item.second.loading && item.second.engine.ok(); }));
}

void LoadedVersions::Run() {
  while (true) {
    Version version;
    Key key;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &LoadedVersions::HasWork));
      if (ending_) return;
      key = std::move(queue_.front());
      queue_.pop_front();
      version = entries_[key].version;
    }
    FileIdentity file;
    EngineResult engine = Load(version, &file);
    std::vector<Ready> waiting;
    std::vector<EngineResult> evicted;
    {
      absl::MutexLock lock(&mutex_);
      Entry& entry = entries_[key];
      evicted.push_back(std::exchange(entry.engine, engine));
      entry.file = file;
      entry.loaded_at = std::chrono::steady_clock::now();
      entry.loading = false;
      waiting = std::move(entry.waiting);
      entry.waiting.clear();
      for (EngineResult& old : Evict()) evicted.push_back(std::move(old));
    }
    for (const Ready& ready : waiting) ready(engine);
  }
}

EngineResult LoadedVersions::Load(const Version& version, FileIdentity* file) const {
  const auto before = Identify(version.archive_path);
  if (!before.has_value()) return Missing(version.archive_path);
  *file = *before;
  EngineResult engine = loader_(version);
  if (engine.ok() && Identify(version.archive_path) != before) {
    return absl::UnavailableError(
        absl::StrCat(version.archive_path, " was changed while it was loaded."));
  }
  return engine;
}

std::vector<EngineResult> LoadedVersions::Evict() {
  std::vector<EngineResult> evicted;
  while (true) {
    auto oldest = entries_.end();
    std::size_t settled = 0;
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->second.loading) continue;
      ++settled;
      if (oldest == entries_.end() || entry->second.last_use < oldest->second.last_use) {
        oldest = entry;
      }
    }
    if (settled <= options_.max_loaded) return evicted;
    evicted.push_back(std::move(oldest->second.engine));
    entries_.erase(oldest);
  }
}

}  // namespace atelier::serving
