#include "models/data/dataset_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/base/failure.h"
#include "models/data/dataset_folder.h"
#include "models/files/durable_file.h"
#include "models/files/sha256.h"

namespace atelier::models {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kSuffix = ".dataset";
// Digits of a checksum that name a file.
constexpr size_t kNameDigits = 24;
// The times of files count in ticks of milliseconds. A file up to this size could change twice in
// one, so its bytes count as well; a larger one takes longer than a tick to read.
constexpr int64_t kSmallFile = int64_t{1} << 20;
// The process that made a temporary file this old is gone.
constexpr std::chrono::hours kAbandoned(1);

absl::Status SystemError(absl::string_view doing, const std::string& path) {
  return absl::UnavailableError(absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno)));
}

// The name of the file for a data set, by the identity of its sources as they are now.
absl::StatusOr<std::string> FileName(const std::string& source_dir) {
  absl::StatusOr<std::vector<std::string>> sources = DatasetFolder::SourceFiles(source_dir);
  if (!sources.ok()) return sources.status();
  std::string identity(DatasetFile::kMagic);
  for (const std::string& path : *sources) {
    struct stat file;
    if (stat(path.c_str(), &file) != 0) return SystemError("examining", path);
    // The change's time as well: it moves even where the modification's is set back.
    absl::StrAppend(&identity, "\n", path, " ", file.st_size, " ", file.st_ino);
    for (const timespec& time : {file.st_mtim, file.st_ctim}) {
      absl::StrAppend(&identity, " ", time.tv_sec, ".", time.tv_nsec);
    }
    if (file.st_size > kSmallFile) continue;
    const absl::StatusOr<std::string> bytes = ReadWholeFile(path, kSmallFile);
    if (!bytes.ok()) return bytes.status();
    absl::StrAppend(&identity, " ", Sha256Of(*bytes));
  }
  std::error_code error;
  const fs::path place = fs::canonical(source_dir, error);
  return absl::StrCat(Sha256Of(error ? source_dir : place.string()).substr(0, kNameDigits), "-",
                      Sha256Of(identity).substr(0, kNameDigits), kSuffix);
}

// A file beside its place, until it is renamed.
class TemporaryFile {
 public:
  // Makes the folder as well.
  static absl::StatusOr<TemporaryFile> Create(const std::string& path) {
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("the folder of ", path, " cannot be made: ", error.message()));
    }
    std::string beside = absl::StrCat(path, ".XXXXXX");
    const int descriptor = mkostemp(beside.data(), O_CLOEXEC);
    if (descriptor < 0) return SystemError("creating", beside);
    return TemporaryFile(std::move(beside), descriptor);
  }
  TemporaryFile(TemporaryFile&& other) noexcept
      : path_(std::exchange(other.path_, "")), descriptor_(std::exchange(other.descriptor_, -1)) {}
  TemporaryFile& operator=(TemporaryFile&&) = delete;
  ~TemporaryFile() {
    if (descriptor_ >= 0) close(descriptor_);
    if (!path_.empty()) unlink(path_.c_str());
  }

  const std::string& path() const { return path_; }
  int descriptor() const { return descriptor_; }

  // Not synced: a file that a crash of the machine leaves damaged is told by its checksum.
  absl::Status MoveTo(const std::string& path) {
    // File systems on a network may tell only now that there is no space.
    if (close(std::exchange(descriptor_, -1)) != 0) return SystemError("writing", path_);
    if (rename(path_.c_str(), path.c_str()) != 0) return SystemError("renaming", path_);
    path_.clear();
    return absl::OkStatus();
  }

 private:
  TemporaryFile(std::string path, int descriptor)
      : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
};

// Whatever is to be said of the sources rather than of the cache.
bool IsOfSources(const absl::Status& status) {
  return ReasonOf(status) == FailureReason::kBadData ||
         ReasonOf(status) == FailureReason::kCancelled;
}

}  // namespace

std::string DatasetCache::PathOf(const std::string& name) const {
  return (fs::path(options_.dir) / name).string();
}

absl::Status DatasetCache::Build(const std::string& source_dir, const std::string& name,
                                 const StopSignal* stop) const {
  const std::string path = PathOf(name);
  absl::StatusOr<DatasetFolder> folder = DatasetFolder::Open(source_dir, stop);
  if (!folder.ok()) return folder.status();
  absl::StatusOr<TemporaryFile> beside = TemporaryFile::Create(path);
  if (!beside.ok()) return beside.status();
  absl::Status status = DatasetFile::Write(beside->descriptor(), beside->path(), &*folder, stop);
  if (!status.ok()) return status;
  // Sources that changed while they were read may be half of one and half of the other.
  if (const auto after = FileName(source_dir); !after.ok() || *after != name) {
    return absl::AbortedError(absl::StrCat("the files in ", source_dir, " changed meanwhile"));
  }
  if (status = beside->MoveTo(path); !status.ok()) return status;
  Prune(path);
  return absl::OkStatus();
}

absl::StatusOr<DatasetCache::Loaded> DatasetCache::Load(const std::string& source_dir,
                                                        const StopSignal* stop) const {
  const auto from_sources = [&](absl::Status problem) -> absl::StatusOr<Loaded> {
    absl::StatusOr<std::shared_ptr<const Dataset>> dataset = Dataset::Load(source_dir, stop);
    if (!dataset.ok()) return dataset.status();
    return Loaded{*std::move(dataset), false, std::move(problem)};
  };
  if (options_.dir.empty()) return from_sources(absl::OkStatus());
  const absl::StatusOr<std::string> name = FileName(source_dir);
  if (!name.ok()) return from_sources(name.status());
  const auto map = [&]() -> absl::StatusOr<std::shared_ptr<const Dataset>> {
    const absl::StatusOr<DatasetFile> file = OpenFile(*name);
    if (!file.ok()) return file.status();
    return file->Map();
  };
  absl::StatusOr<std::shared_ptr<const Dataset>> cached = map();
  if (cached.ok()) return Loaded{*std::move(cached), true, absl::OkStatus()};
  const absl::Status problem =
      absl::IsNotFound(cached.status()) ? absl::OkStatus() : cached.status();
  if (absl::Status status = Build(source_dir, *name, stop); !status.ok()) {
    if (IsOfSources(status)) return status;
    return from_sources(std::move(status));
  }
  // The mapped file instead of memory of our own: others share it.
  if (cached = map(); !cached.ok()) return from_sources(cached.status());
  return Loaded{*std::move(cached), false, problem};
}

absl::StatusOr<DatasetFile> DatasetCache::OpenFile(const std::string& name) const {
  absl::StatusOr<DatasetFile> file = DatasetFile::Open(PathOf(name));
  // Now it was used; where that cannot be noted it only goes earlier.
  if (file.ok()) utimensat(AT_FDCWD, PathOf(name).c_str(), nullptr, 0);
  return file;
}

absl::StatusOr<std::string> DatasetCache::Prepare(const std::string& source_dir,
                                                  const StopSignal* stop) const {
  if (options_.dir.empty()) return absl::FailedPreconditionError("there is no folder for it");
  const absl::StatusOr<std::string> name = FileName(source_dir);
  if (!name.ok()) return name.status();
  if (const absl::StatusOr<DatasetFile> file = OpenFile(*name); file.ok()) {
    const absl::Status status = file->Verify(stop);
    if (status.ok()) return PathOf(*name);
    if (IsOfSources(status)) return status;
  }
  if (absl::Status status = Build(source_dir, *name, stop); !status.ok()) return status;
  return PathOf(*name);
}

void DatasetCache::Prune(const std::string& path) const {
  struct Entry {
    fs::path path;
    fs::file_time_type used;
    int64_t size = 0;
  };
  const std::string name = fs::path(path).filename();
  const std::string source = name.substr(0, kNameDigits + 1);
  const fs::file_time_type now = fs::file_time_type::clock::now();
  std::vector<Entry> others;
  std::error_code ignored;
  int64_t total = static_cast<int64_t>(fs::file_size(path, ignored));
  for (fs::directory_iterator entry(options_.dir, ignored), end; !ignored && entry != end;
       entry.increment(ignored)) {
    std::error_code error;
    Entry other{entry->path(), entry->last_write_time(error),
                error ? 0 : static_cast<int64_t>(entry->file_size(error))};
    const std::string other_name = other.path.filename();
    // Only what is ours, and what is still there.
    if (error || other_name == name || !absl::StrContains(other_name, kSuffix)) continue;
    if (!absl::EndsWith(other_name, kSuffix)) {
      if (now - other.used > kAbandoned) fs::remove(other.path, error);
    } else if (absl::StartsWith(other_name, source)) {
      fs::remove(other.path, error);
    } else {
      others.push_back(std::move(other));
    }
  }
  std::sort(others.begin(), others.end(),
            [](const Entry& a, const Entry& b) { return a.used > b.used; });
  for (const Entry& other : others) {
    total += other.size;
    if (total <= options_.max_bytes) continue;
    std::error_code error;
    fs::remove(other.path, error);
    total -= other.size;
  }
}

}  // namespace atelier::models
