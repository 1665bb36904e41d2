#include "server/upkeep/backup_links.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <functional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "atelier/v1/dataset_service.pb.h"
#include "models/files/durable_file.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/error.h"
#include "server/upkeep/backup_format.h"

namespace atelier::upkeep {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxAnnouncement = std::int64_t{64} << 10;

absl::Status Failed(const fs::path& file, int error) {
  const std::string message =
      absl::StrCat(file.string(), " cannot be backed up: ", std::strerror(error), ".");
  if (error == ENOSPC || error == EDQUOT) {
    return jobs::Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", message);
  }
  return absl::InternalError(message);
}

// A file that is gone is no error.
absl::Status Link(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (error) return Failed(from, error.value());
  if (link(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EPERM && errno != EMLINK && errno != EOPNOTSUPP) return Failed(from, errno);
  // The file system has no links, or too many of this file.
  fs::copy_file(from, to, error);
  if (!error || error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  return Failed(from, error.value());
}

using Chooser = std::function<bool(const fs::path& within)>;

// Links the plain files of a folder that `chosen` wants, told by their paths within the folder.
absl::Status LinkTree(const std::string& data_dir, const char* folder, const std::string& target,
                      const Chooser& chosen) {
  const fs::path root = fs::path(data_dir) / folder;
  std::error_code error;
  fs::recursive_directory_iterator entry(root, error);
  while (!error && entry != fs::recursive_directory_iterator()) {
    std::error_code gone;
    const bool plain = fs::is_regular_file(entry->symlink_status(gone)) && !gone;
    const fs::path within = entry->path().lexically_relative(root);
    if (plain && chosen(within)) {
      if (auto status = Link(entry->path(), fs::path(target) / folder / within); !status.ok()) {
        return status;
      }
    }
    entry.increment(error);
    // A folder that went meanwhile ends the walk through it alone.
    if (error == std::errc::no_such_file_or_directory) error.clear();
  }
  if (error && error != std::errc::no_such_file_or_directory) return Failed(root, error.value());
  return absl::OkStatus();
}

bool Lasts(const fs::path& within) { return !absl::EndsWith(within.string(), ".part"); }

// Of a job: its log, its checkpoints and TensorBoard's files. An archive or data set in the making
// is made again.
bool OutlivesAttempt(const fs::path& within) {
  const std::string name = within.filename().string();
  return absl::StrContains(within.string(), "/tensorboard/") || name == "worker.log" ||
         (absl::StartsWith(name, "checkpoint-") && absl::EndsWith(name, ".ckpt"));
}

// Whether all of an upload is there: what is not is sent again.
bool IsComplete(const fs::path& upload) {
  const auto bytes = models::ReadWholeFile((upload / "upload.pb").string(), kMaxAnnouncement);
  v1::Upload announced;
  struct stat content;
  return bytes.ok() && announced.ParseFromString(*bytes) &&
         stat((upload / jobs::kUploadContent).c_str(), &content) == 0 &&
         content.st_size >= announced.size_bytes();
}

}  // namespace

absl::Status LinkPublished(const std::string& data_dir, const std::string& target) {
  // The registry for serving replicas lies above the versions, and is made anew by the next server.
  absl::Status status = LinkTree(data_dir, "models", target, [](const fs::path& within) {
    return within.has_parent_path() && Lasts(within);
  });
  if (status.ok()) status = LinkTree(data_dir, "datasets", target, Lasts);
  return status;
}

absl::Status LinkRest(const std::string& data_dir, const std::string& target) {
  const fs::path uploads = fs::path(data_dir) / "uploads";
  // Jobs first: the last checkpoint of one that ends meanwhile moves to `checkpoints`.
  absl::Status status = LinkTree(data_dir, "jobs", target, OutlivesAttempt);
  if (status.ok()) status = LinkTree(data_dir, "checkpoints", target, Lasts);
  if (status.ok()) {
    status = LinkTree(data_dir, "uploads", target, [&](const fs::path& within) {
      return IsComplete(uploads / *within.begin());
    });
  }
  if (status.ok()) status = LinkTree(data_dir, "audit", target, Lasts);
  if (status.ok()) {
    status = Link(fs::path(data_dir) / kServingName, fs::path(target) / kServingName);
  }
  return status;
}

}  // namespace atelier::upkeep
