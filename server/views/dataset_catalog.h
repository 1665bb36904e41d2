// The data sets a server has, by name: what their headers say, what all of their bytes tell, and
// their images for who wants to look at them. The server holds none of them in memory and maps
// none: it reads the files that DatasetCache shares with trainings, which open them themselves, in
// their own processes.
#ifndef ATELIER_SERVER_VIEWS_DATASET_CATALOG_H_
#define ATELIER_SERVER_VIEWS_DATASET_CATALOG_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/data/dataset_cache.h"
#include "models/data/dataset_file.h"
#include "models/data/dataset_statistics.h"

namespace atelier::views {

// What all of a data set's bytes tell.
struct DatasetContent {
  models::DatasetSummary summary;
  models::DatasetStatistics statistics;
};

// Thread-safe. Info, Read and Open wait for the disk; a folder whose files have
// changed is read again. Each data set is unpacked by a thread of its own, so that a large one
// holds nobody up who did not ask for it.
class DatasetCatalog {
 public:
  // Folders by name.
  using Directories = std::map<std::string, std::string>;

  struct Options {
    // The folder of models::DatasetCache.
    std::string cache_dir;
  };

  DatasetCatalog(Directories directories, Options options);
  // Stops, and waits for its threads.
  ~DatasetCatalog();
  DatasetCatalog(const DatasetCatalog&) = delete;
  DatasetCatalog& operator=(const DatasetCatalog&) = delete;

  // Gives up what is being read, and does not read again: who waits for it is told CANCELLED.
  void Stop() { stop_.Stop(); }

  // Sorted.
  std::vector<std::string> Names() const;
  // Nothing if there is no data set of that name.
  std::optional<std::string> Directory(const std::string& name) const;

  // What the headers of a data set that there is say; errors as models::DatasetFolder, also of its
  // images once these were read.
  absl::StatusOr<models::DatasetInfo> Info(const std::string& name);
  // What all of its bytes say; nothing where reading them takes longer than `patience`. Errors as
  // models::DatasetCache::Prepare.
  std::optional<absl::StatusOr<DatasetContent>> Read(const std::string& name,
                                                     absl::Duration patience);
  // A data set's images. Errors as Read; UNAVAILABLE where reading takes longer.
  absl::StatusOr<models::DatasetFile> Open(const std::string& name, absl::Duration patience);

  // Whether an error says that a data set's files are to blame, and not the machine at the moment.
  static bool IsOfFiles(const absl::Status& status);

 private:
  // A data set's file in the cache, and what it tells.
  struct Stored {
    std::string path;
    DatasetContent content;
  };
  struct Entry {
    std::string info_fingerprint;
    absl::StatusOr<models::DatasetInfo> info;
    std::string stored_fingerprint;
    absl::StatusOr<Stored> stored;
    bool reading = false;
    std::thread reader;
  };

  // Names, sizes and times of a folder's files, which differ once one of them was changed.
  static std::string Fingerprint(const std::string& directory);

  // What reading all of a data set gave, done anew where its sources changed or `again`; nothing
  // after `deadline`.
  std::optional<absl::StatusOr<Stored>> Await(const std::string& name, bool again,
                                              absl::Time deadline);
  void StartReading(const std::string& name, const std::string& fingerprint, Entry* entry)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Stored> ReadFolder(const std::string& directory) const;
  void Finish(absl::StatusOr<Stored> stored, const std::string& fingerprint, Entry* entry);

  // Constant after construction.
  const Directories directories_;
  const models::DatasetCache cache_;
  models::StopSignal stop_;

  absl::Mutex mutex_;
  // One for each data set. Its thread takes the mutex only to store what it read, last of all.
  std::map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::views

#endif  // ATELIER_SERVER_VIEWS_DATASET_CATALOG_H_
