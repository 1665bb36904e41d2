#include "server/objects/object_registry.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <tuple>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "models/files/file_io.h"
#include "models/files/folder_names.h"
#include "models/files/regular_file.h"
#include "models/files/sha256.h"
#include "server/jobs/resource_names.h"
#include "server/objects/digest.h"
#include "server/objects/object_keys.h"
#include "server/registry/registry_file.h"

namespace atelier::objects {
namespace {

constexpr std::int64_t kPieceBytes = std::int64_t{16} << 20;

// Whether the file is the archive.
bool IsArchive(const std::string& path, const v1::ModelVersion& version) {
  const auto file = models::RegularFile::Open(path);
  if (!file.ok() || file->size() != version.size_bytes()) return false;
  const auto digests = DigestsOf(*file, 0, file->size());
  return digests.ok() && absl::BytesToHexString(digests->sha256) == version.sha256();
}

absl::Status CacheError(absl::string_view what, const std::string& path) {
  return absl::UnavailableError(
      absl::StrCat(path, " cannot be ", what, ": ", std::strerror(errno)));
}

}  // namespace

absl::StatusOr<std::optional<std::string>> ObjectRegistry::Read() {
  const auto object = client_.Head(kRegistryKey);
  if (!object.ok()) return object.status();
  if (object->etag == etag_) return std::nullopt;
  if (object->bytes > registry::kMaxRegistryBytes) {
    return absl::DataLossError(absl::StrCat("it has ", object->bytes, " bytes, more than the ",
                                            registry::kMaxRegistryBytes, " that are read"));
  }
  auto bytes = client_.Get(kRegistryKey, 0, object->bytes);
  if (!bytes.ok()) return bytes.status();
  etag_ = object->etag;
  return *std::move(bytes);
}

std::string ObjectRegistry::ArchivePath(absl::string_view /*model*/,
                                        const v1::ModelVersion& version) const {
  return absl::StrCat(options_.folder, "/", version.sha256(), ".tar.gz");
}

absl::Status ObjectRegistry::Fetch(absl::string_view model, const v1::ModelVersion& version) {
  const std::string path = ArchivePath(model, version);
  MutexLock lock(&mutex_);
  used_[path] = clock_->Now();
  if (IsArchive(path, version)) return absl::OkStatus();
  const absl::Status status = Download(version, path);
  observer_->Worked(ObjectWork::kFetch, status.ok(), version.size_bytes());
  if (!status.ok()) {
    return absl::UnavailableError(
        absl::StrCat("It cannot be fetched from ", Name(), ": ", status.message(), "."));
  }
  Trim(path);
  return absl::OkStatus();
}

absl::Status ObjectRegistry::Download(const v1::ModelVersion& version, const std::string& path) {
  const auto job = jobs::ParseJobName(version.job());
  if (!job.ok()) return job.status();
  const std::string partial = path + ".fetch";
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  const int descriptor =
      open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor < 0) return CacheError("made", partial);
  const auto close_it = absl::MakeCleanup([descriptor] { close(descriptor); });
  models::Sha256 digest;
  for (std::int64_t at = 0; at < version.size_bytes(); at += kPieceBytes) {
    const auto piece =
        client_.Get(ModelKey(*job), at, std::min(kPieceBytes, version.size_bytes() - at));
    if (!piece.ok()) return piece.status();
    digest.Update(piece->data(), piece->size());
    if (!models::WriteAll(descriptor, *piece)) return CacheError("written", partial);
  }
  if (digest.Finish() != version.sha256()) {
    return absl::DataLossError("the store answered with other bytes than were stored");
  }
  return rename(partial.c_str(), path.c_str()) == 0 ? absl::OkStatus()
                                                    : CacheError("renamed", partial);
}

void ObjectRegistry::Trim(const std::string& kept) {
  // Those that were not used since the start go first, the oldest before others.
  std::vector<std::tuple<absl::Time, std::int64_t, std::string, std::int64_t>> files;
  std::int64_t bytes = 0;
  for (const std::string& name : models::NamesIn(options_.folder)) {
    const std::string path = absl::StrCat(options_.folder, "/", name);
    struct stat about;
    if (stat(path.c_str(), &about) != 0) continue;
    const auto use = used_.find(path);
    files.emplace_back(use == used_.end() ? absl::InfinitePast() : use->second, about.st_mtime,
                       path, about.st_size);
    bytes += about.st_size;
  }
  std::sort(files.begin(), files.end());
  for (const auto& [use, written, path, size] : files) {
    if (bytes <= options_.cache_bytes) break;
    if (path == kept || unlink(path.c_str()) != 0) continue;
    used_.erase(path);
    bytes -= size;
  }
  observer_->Cached(bytes);
}

}  // namespace atelier::objects
