// The data sets a server has, by name: what their headers say, their checksums, and their images
// for who wants to look at them. Trainings open them themselves, in their own processes; what was
// unpacked once is shared with them through DatasetCache.
#ifndef ATELIER_SERVER_SERVING_DATASET_CATALOG_H_
#define ATELIER_SERVER_SERVING_DATASET_CATALOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "models/dataset.h"
#include "models/dataset_cache.h"

namespace atelier::serving {

// Thread-safe. Info and Load wait for the disk; a folder whose files have changed is read again.
class DatasetCatalog {
 public:
  // Folders by name.
  using Directories = std::map<std::string, std::string>;

  struct Options {
    // Data sets kept in memory at most.
    std::size_t max_loaded = 2;
    // The folder of models::DatasetCache; empty for none.
    std::string cache_dir = {};
  };

  explicit DatasetCatalog(Directories directories) : DatasetCatalog(std::move(directories), {}) {}
  DatasetCatalog(Directories directories, Options options);

  // Sorted.
  std::vector<std::string> Names() const;
  // Nothing if there is no data set of that name.
  std::optional<std::string> Directory(const std::string& name) const;

  // What the headers of a data set that there is say; errors as models::Dataset::ReadInfo.
  absl::StatusOr<models::DatasetInfo> Info(const std::string& name);
  // A data set that there is, with its images; errors as models::Dataset::Load.
  absl::StatusOr<std::shared_ptr<const models::Dataset>> Load(const std::string& name);
  // models::Dataset::checksum of a data set that there is; it is loaded only where its files have
  // changed since the last question. Errors as Load.
  absl::StatusOr<std::string> Checksum(const std::string& name);

 private:
  // Names, sizes and times of a folder's files, which differ once one of them was changed.
  static std::string Fingerprint(const std::string& directory);

  struct CachedInfo {
    std::string fingerprint;
    absl::StatusOr<models::DatasetInfo> info;
  };
  struct CachedChecksum {
    std::string fingerprint;
    std::string checksum;
  };
  struct Loaded {
    std::string name;
    std::string fingerprint;
    std::shared_ptr<const models::Dataset> dataset;
  };

  const Directories directories_;
  const std::size_t max_loaded_;
  const models::DatasetCache cache_;

  absl::Mutex mutex_;
  std::map<std::string, CachedInfo> infos_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, CachedChecksum> checksums_ ABSL_GUARDED_BY(mutex_);
  std::list<Loaded> loaded_ ABSL_GUARDED_BY(mutex_);  // Most recently used first.
  // Held while a data set is loaded, so that none is loaded twice at once. Taken before mutex_.
  absl::Mutex loading_ ABSL_ACQUIRED_BEFORE(mutex_);
};

}  // namespace atelier::serving

#endif  // ATELIER_SERVER_SERVING_DATASET_CATALOG_H_
