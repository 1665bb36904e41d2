#include "server/views/dataset_catalog.h"

#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "models/base/failure.h"

namespace atelier::views {
namespace {

// What will be the same the next time.
template <typename T>
bool IsKnown(const absl::StatusOr<T>& result) {
  return result.ok() || DatasetCatalog::IsOfFiles(result.status());
}

}  // namespace

DatasetCatalog::DatasetCatalog(Directories directories, Options options)
    : directories_(std::move(directories)), cache_({std::move(options.cache_dir)}) {
  const absl::Status unread = absl::UnavailableError("It was not read yet.");
  absl::MutexLock lock(&mutex_);
  for (const auto& [name, directory] : directories_) {
    entries_.try_emplace(name, Entry{"", unread, "", unread, false, {}});
  }
}

DatasetCatalog::~DatasetCatalog() {
  Stop();
  std::vector<std::thread> readers;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [name, entry] : entries_) readers.push_back(std::move(entry.reader));
  }
  for (std::thread& reader : readers) {
    if (reader.joinable()) reader.join();
  }
}

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
  // Never empty, as what was not read yet is.
  std::vector<std::string> files = {directory};
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

bool DatasetCatalog::IsOfFiles(const absl::Status& status) {
  return models::ReasonOf(status) == models::FailureReason::kBadData;
}

absl::StatusOr<models::DatasetInfo> DatasetCatalog::Info(const std::string& name) {
  const std::string& directory = directories_.at(name);
  std::string fingerprint = Fingerprint(directory);
  {
    absl::MutexLock lock(&mutex_);
    const Entry& entry = entries_.at(name);
    if (entry.stored_fingerprint == fingerprint && !entry.stored.ok() &&
        IsOfFiles(entry.stored.status())) {
      return entry.stored.status();
    }
    if (entry.info_fingerprint == fingerprint && IsKnown(entry.info)) return entry.info;
  }
  auto info = models::Dataset::ReadInfo(directory);
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_.at(name);
  entry.info_fingerprint = std::move(fingerprint);
  entry.info = info;
  return info;
}

std::optional<absl::StatusOr<DatasetContent>> DatasetCatalog::Read(const std::string& name,
                                                                   absl::Duration patience) {
  const auto stored = Await(name, /*again=*/false, absl::Now() + patience);
  if (!stored.has_value()) return std::nullopt;
  if (!stored->ok()) return stored->status();
  return (*stored)->content;
}

absl::StatusOr<models::DatasetFile> DatasetCatalog::Open(const std::string& name,
                                                         absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  absl::Status status;
  // The file may be gone, or cut off, since it was read: then it is made once more.
  for (const bool again : {false, true}) {
    const auto stored = Await(name, again, deadline);
    if (!stored.has_value()) {
      return absl::UnavailableError(
          absl::StrCat("the files of ", name, " are being read; try again"));
    }
    if (!stored->ok()) return stored->status();
    auto file = models::DatasetFile::Open((*stored)->path);
    if (file.ok() && file->summary().checksum == (*stored)->content.summary.checksum) return file;
    status = file.ok() ? absl::UnavailableError(absl::StrCat(name, " has just changed; try again"))
                       : file.status();
  }
  return status;
}

std::optional<absl::StatusOr<DatasetCatalog::Stored>> DatasetCatalog::Await(const std::string& name,
                                                                            bool again,
                                                                            absl::Time deadline) {
  const std::string fingerprint = Fingerprint(directories_.at(name));
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_.at(name);
  const auto is_known = [&] { return entry.stored_fingerprint == fingerprint; };
  if (!entry.reading && !again && is_known() && IsKnown(entry.stored)) return entry.stored;
  do {
    // What is being read may be what was there before.
    if (!entry.reading) StartReading(name, fingerprint, &entry);
    if (!mutex_.AwaitWithDeadline(absl::Condition(
                                      +[](bool* reading) { return !*reading; }, &entry.reading),
                                  deadline)) {
      return std::nullopt;
    }
  } while (!is_known());
  return entry.stored;
}

void DatasetCatalog::StartReading(const std::string& name, const std::string& fingerprint,
                                  Entry* entry) {
  // It has ended but for its last instructions.
  if (entry->reader.joinable()) entry->reader.join();
  const auto read = [this, fingerprint, entry, &directory = directories_.at(name)] {
    pthread_setname_np(pthread_self(), "dataset");
    Finish(ReadFolder(directory), fingerprint, entry);
  };
  entry->reading = true;
  try {
    entry->reader = std::thread(read);
  } catch (const std::system_error& error) {
    entry->stored = absl::UnavailableError(absl::StrCat("no thread to read it: ", error.what()));
    entry->stored_fingerprint = fingerprint;
    entry->reading = false;
  }
}

void DatasetCatalog::Finish(absl::StatusOr<Stored> stored, const std::string& fingerprint,
                            Entry* entry) {
  absl::MutexLock lock(&mutex_);
  entry->stored_fingerprint = fingerprint;
  entry->stored = std::move(stored);
  entry->reading = false;
}

absl::StatusOr<DatasetCatalog::Stored> DatasetCatalog::ReadFolder(
    const std::string& directory) const {
  auto path = cache_.Prepare(directory, &stop_);
  if (!path.ok()) return path.status();
  const auto file = models::DatasetFile::Open(*path);
  if (!file.ok()) return file.status();
  auto statistics = models::StatisticsOf(*file, &stop_);
  if (!statistics.ok()) return statistics.status();
  return Stored{*std::move(path), {file->summary(), *std::move(statistics)}};
}

}  // namespace atelier::views
