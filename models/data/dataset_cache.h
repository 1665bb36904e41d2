// Data sets as they are in memory, kept in files of a folder that all processes of a machine share:
// each is unpacked and checked once, and afterwards mapped read-only, so that jobs side by side
// hold one copy. A file is named by where its sources lie and by their names, sizes and times, so
// changed sources are another file; it is written beside its place and renamed, so two that write
// at once are no harm; and its bytes are compared with their checksum whenever it is opened.
// Whatever is wrong with the cache, the data set is read from its sources. Thread-safe.
#ifndef ATELIER_MODELS_DATA_DATASET_CACHE_H_
#define ATELIER_MODELS_DATA_DATASET_CACHE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"
#include "models/data/dataset_file.h"

namespace atelier::models {

class DatasetCache {
 public:
  struct Options {
    // Folder of the files, made when it is needed; empty keeps nothing.
    std::string dir;
    // Bytes all files may have together; beyond, those not used for longest go. What was written
    // last stays in any case.
    int64_t max_bytes = int64_t{8} << 30;
  };

  struct Loaded {
    std::shared_ptr<const Dataset> dataset;
    // It came out of the cache, and its sources were not read.
    bool from_cache = false;
    // Why there is nothing usable in the cache now, or why what was there had to be written anew.
    absl::Status problem;
  };

  explicit DatasetCache(Options options) : options_(std::move(options)) {}

  // The data set of a folder. Errors as Dataset::Load; the cache's own are only `problem`.
  absl::StatusOr<Loaded> Load(const std::string& source_dir,
                              const StopSignal* stop = nullptr) const;

  // The path of a DatasetFile of the data set, made if need be, whose bytes have their checksum.
  // Errors as DatasetFolder where the sources are to blame; UNAVAILABLE and others where the cache
  // is. Takes little memory, however large the data set is.
  absl::StatusOr<std::string> Prepare(const std::string& source_dir,
                                      const StopSignal* stop = nullptr) const;

 private:
  std::string PathOf(const std::string& name) const;
  absl::StatusOr<DatasetFile> OpenFile(const std::string& name) const;
  // Makes the file of that name from the sources.
  absl::Status Build(const std::string& source_dir, const std::string& name,
                     const StopSignal* stop) const;
  // Removes what `path`, just written, replaces and what is too much.
  void Prune(const std::string& path) const;

  const Options options_;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_DATA_DATASET_CACHE_H_
