#include "models/dataset_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "models/durable_file.h"
#include "models/sha256.h"

namespace atelier::models {
namespace {

namespace fs = std::filesystem;

// A file is one line (the magic word, the header's SHA-256 and its length), the header as JSON,
// zeros to a multiple of kAlignment, and then pixels and labels of the training and the test split.
constexpr absl::string_view kMagic = "atelier-dataset-1";
constexpr size_t kMaxLine = 128;
constexpr size_t kAlignment = 64;
constexpr absl::string_view kSuffix = ".dataset";
// Digits of a checksum that name a file.
constexpr size_t kNameDigits = 24;
// The times of files count in ticks of milliseconds. A file up to this size could change twice in
// one, so its bytes count as well; a larger one takes longer than a tick to read.
constexpr int64_t kSmallFile = int64_t{1} << 20;
// Whoever was to rename a file this old is gone.
constexpr std::chrono::hours kAbandoned(1);

absl::Status SystemError(absl::string_view doing, const std::string& path) {
  return absl::UnavailableError(absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno)));
}

size_t Aligned(size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

// The name of the file for a data set, by the identity of its sources as they are now.
absl::StatusOr<std::string> FileName(const std::string& source_dir) {
  absl::StatusOr<std::vector<std::string>> sources = Dataset::SourceFiles(source_dir);
  if (!sources.ok()) return sources.status();
  std::string identity(kMagic);
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

// A file's bytes, as long as this lives.
class Mapping {
 public:
  static absl::StatusOr<std::shared_ptr<const Mapping>> Open(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
      if (errno == ENOENT) return absl::NotFoundError(absl::StrCat("there is no ", path));
      return SystemError("opening", path);
    }
    struct stat file;
    void* bytes = MAP_FAILED;
    if (fstat(descriptor, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0) {
      bytes = mmap(nullptr, static_cast<size_t>(file.st_size), PROT_READ, MAP_SHARED | MAP_POPULATE,
                   descriptor, 0);
      // Now it was used; where that cannot be noted it only goes earlier.
      futimens(descriptor, nullptr);
    }
    close(descriptor);
    if (bytes == MAP_FAILED) {
      return absl::DataLossError(absl::StrCat(path, " is empty or cannot be mapped"));
    }
    return std::shared_ptr<const Mapping>(new Mapping(bytes, static_cast<size_t>(file.st_size)));
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() { munmap(bytes_, size_); }

  absl::Span<const uint8_t> bytes() const { return {static_cast<const uint8_t*>(bytes_), size_}; }

 private:
  Mapping(void* bytes, size_t size) : bytes_(bytes), size_(size) {}

  void* const bytes_;
  const size_t size_;
};

struct Header {
  ImageShape shape;
  int64_t training_images = 0;
  int64_t test_images = 0;
  std::vector<std::string> class_names;
  // Of the data set.
  std::string checksum;
  // Where the pixels begin.
  size_t end = 0;
};

std::string FirstLine(const std::string& json) {
  return absl::StrCat(kMagic, " ", Sha256Of(json), " ", json.size(), "\n");
}

std::string HeaderText(const Dataset& dataset) {
  const std::string json = nlohmann::json{
      {"shape", {dataset.shape().channels, dataset.shape().height, dataset.shape().width}},
      {"training_images", dataset.training().size()},
      {"test_images", dataset.test().size()},
      {"class_names", dataset.class_names()},
      {"checksum",
       dataset.checksum()}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string text = absl::StrCat(FirstLine(json), json);
  text.resize(Aligned(text.size()), '\0');
  return text;
}

absl::StatusOr<Header> ParseHeader(absl::Span<const uint8_t> bytes) {
  const absl::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const absl::string_view line =
      all.substr(0, std::min(all.substr(0, kMaxLine).find('\n'), kMaxLine));
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  size_t length = 0;
  if (words.size() != 3 || words[0] != kMagic || !absl::SimpleAtoi(words[2], &length) ||
      length > all.size()) {
    return absl::DataLossError("its first line is damaged");
  }
  const std::string json(all.substr(std::min(line.size() + 1, all.size()), length));
  if (Sha256Of(json) != words[1]) return absl::DataLossError("its header is damaged");
  Header header;
  try {
    const auto fields = nlohmann::json::parse(json);
    const auto sizes = fields.at("shape").get<std::vector<int64_t>>();
    header.shape = {sizes.at(0), sizes.at(1), sizes.at(2)};
    fields.at("training_images").get_to(header.training_images);
    fields.at("test_images").get_to(header.test_images);
    fields.at("class_names").get_to(header.class_names);
    fields.at("checksum").get_to(header.checksum);
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat("its header is of no use: ", error.what()));
  }
  header.end = Aligned(line.size() + 1 + length);
  const auto bytes_of = [&](int64_t images) {
    return static_cast<size_t>(images * (header.shape.size() + 1));
  };
  const size_t expected =
      header.end + bytes_of(header.training_images) + bytes_of(header.test_images);
  if (expected != bytes.size()) {
    return absl::DataLossError(
        absl::StrCat("it has ", bytes.size(), " bytes instead of ", expected));
  }
  return header;
}

// NOT_FOUND if the file is not there; DATA_LOSS if it is not what was written.
absl::StatusOr<std::shared_ptr<const Dataset>> OpenCached(const std::string& path) {
  absl::StatusOr<std::shared_ptr<const Mapping>> mapping = Mapping::Open(path);
  if (!mapping.ok()) return mapping.status();
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(
        absl::StrCat("the cached data set ", path, " is not usable: ", what));
  };
  absl::StatusOr<Header> header = ParseHeader((*mapping)->bytes());
  if (!header.ok()) return damaged(header.status().message());
  size_t at = header->end;
  const auto take = [&](int64_t size) {
    const absl::Span<const uint8_t> part =
        (*mapping)->bytes().subspan(at, static_cast<size_t>(size));
    at += part.size();
    return SharedBytes(*mapping, part);
  };
  const auto take_split = [&](int64_t images) {
    SharedBytes pixels = take(images * header->shape.size());
    return LabeledImages{std::move(pixels), take(images)};
  };
  LabeledImages training = take_split(header->training_images);
  LabeledImages test = take_split(header->test_images);
  absl::StatusOr<std::shared_ptr<const Dataset>> dataset = Dataset::Create(
      header->shape, std::move(header->class_names), std::move(training), std::move(test));
  if (!dataset.ok()) return damaged(dataset.status().message());
  if ((*dataset)->checksum() != header->checksum) {
    return damaged("its bytes do not have its checksum");
  }
  return dataset;
}

absl::Status WriteParts(int descriptor, const std::string& path,
                        absl::Span<const absl::Span<const uint8_t>> parts) {
  for (absl::Span<const uint8_t> part : parts) {
    while (!part.empty()) {
      const ssize_t written = write(descriptor, part.data(), part.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return SystemError("writing", path);
      part.remove_prefix(static_cast<size_t>(written));
    }
  }
  return absl::OkStatus();
}

// Not synced: a file that a crash of the machine leaves damaged is told by its checksum.
absl::Status WriteCached(const std::string& path, const Dataset& dataset) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("the folder of ", path, " cannot be made: ", error.message()));
  }
  std::string beside = absl::StrCat(path, ".XXXXXX");
  const int descriptor = mkostemp(beside.data(), O_CLOEXEC);
  if (descriptor < 0) return SystemError("creating", beside);
  const std::string header = HeaderText(dataset);
  absl::Status status = WriteParts(
      descriptor, beside,
      {absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(header.data()), header.size()),
       dataset.training().pixels, dataset.training().labels, dataset.test().pixels,
       dataset.test().labels});
  // File systems on a network may tell only now that there is no space.
  if (close(descriptor) != 0 && status.ok()) status = SystemError("writing", beside);
  if (status.ok() && rename(beside.c_str(), path.c_str()) != 0) {
    status = SystemError("renaming", beside);
  }
  if (!status.ok()) unlink(beside.c_str());
  return status;
}

}  // namespace

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
  const std::string path = (fs::path(options_.dir) / *name).string();
  absl::StatusOr<std::shared_ptr<const Dataset>> cached = OpenCached(path);
  if (cached.ok()) return Loaded{*std::move(cached), true, absl::OkStatus()};

  absl::StatusOr<Loaded> loaded =
      from_sources(absl::IsNotFound(cached.status()) ? absl::OkStatus() : cached.status());
  if (!loaded.ok()) return loaded;
  // Sources that changed while they were read may be half of one and half of the other.
  if (const auto after = FileName(source_dir); !after.ok() || *after != *name) return loaded;
  if (absl::Status status = WriteCached(path, *loaded->dataset); !status.ok()) {
    loaded->problem = std::move(status);
    return loaded;
  }
  Prune(path);
  // The mapped file instead of memory of our own: others share it.
  if (cached = OpenCached(path); cached.ok()) loaded->dataset = *std::move(cached);
  return loaded;
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
