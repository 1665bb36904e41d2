#include "server/serving/dataset_catalog.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace atelier::serving {

DatasetCatalog::DatasetCatalog(Directories directories, Options options)
    : directories_(std::move(directories)),
      max_loaded_(options.max_loaded),
      cache_({std::move(options.cache_dir)}) {}

std::vector<std::string> DatasetCatalog::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, directory] : directories_) names.push_back(name);
  return names;
}

std::optional<std::string> DatasetCatalog::Directory(const std::string& name) const {
  const auto found = directories_.find(name);
  if (found == directories_.end()) return std::nullopt;
  return found->second;
}

std::string DatasetCatalog::Fingerprint(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(directory, error), end; !error && entry != end;
       entry.increment(error)) {
    struct stat file;
    if (stat(entry->path().c_str(), &file) != 0) continue;
    files.push_back(absl::StrCat(entry->path().filename().string(), " ", file.st_ino, " ",
                                 file.st_size, " ", file.st_mtim.tv_sec, ".",
                                 file.st_mtim.tv_nsec));
  }
  std::sort(files.begin(), files.end());
  return absl::StrJoin(files, "\n");
}

absl::StatusOr<models::DatasetInfo> DatasetCatalog::Info(const std::string& name) {
  const std::string& directory = directories_.at(name);
  std::string fingerprint = Fingerprint(directory);
  {
    absl::MutexLock lock(&mutex_);
    const auto cached = infos_.find(name);
    if (cached != infos_.end() && cached->second.fingerprint == fingerprint) {
      return cached->second.info;
    }
  }
  auto info = models::Dataset::ReadInfo(directory);
  absl::MutexLock lock(&mutex_);
  infos_.insert_or_assign(name, CachedInfo{std::move(fingerprint), info});
  return info;
}

absl::StatusOr<std::shared_ptr<const models::Dataset>> DatasetCatalog::Load(
    const std::string& name) {
  const std::string& directory = directories_.at(name);
  absl::MutexLock loading(&loading_);
  std::string fingerprint = Fingerprint(directory);
  {
    absl::MutexLock lock(&mutex_);
    const auto found = std::find_if(loaded_.begin(), loaded_.end(),
                                    [&](const Loaded& entry) { return entry.name == name; });
    if (found != loaded_.end() && found->fingerprint == fingerprint) {
      loaded_.splice(loaded_.begin(), loaded_, found);
      return found->dataset;
    }
    if (found != loaded_.end()) loaded_.erase(found);
  }
  // What is wrong with the cache costs time and nothing else; the workers' logs tell of it.
  auto loaded = cache_.Load(directory);
  if (!loaded.ok()) return loaded.status();
  auto dataset = std::move(loaded->dataset);
  absl::MutexLock lock(&mutex_);
  checksums_.insert_or_assign(name, CachedChecksum{fingerprint, dataset->checksum()});
  loaded_.push_front({name, std::move(fingerprint), dataset});
  if (loaded_.size() > max_loaded_) loaded_.pop_back();
  return dataset;
}

absl::StatusOr<std::string> DatasetCatalog::Checksum(const std::string& name) {
  const std::string fingerprint = Fingerprint(directories_.at(name));
  {
    absl::MutexLock lock(&mutex_);
    const auto cached = checksums_.find(name);
    if (cached != checksums_.end() && cached->second.fingerprint == fingerprint) {
      return cached->second.checksum;
    }
  }
  const auto dataset = Load(name);
  if (!dataset.ok()) return dataset.status();
  return (*dataset)->checksum();
}

}  // namespace atelier::serving
