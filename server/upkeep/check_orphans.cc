#include "server/upkeep/check_orphans.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "atelier/v1/dataset_service.pb.h"
#include "models/files/durable_file.h"
#include "models/files/file_io.h"
#include "models/files/folder_names.h"
#include "models/files/regular_file.h"
#include "models/files/sha256.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/resource_names.h"
#include "server/uploads/upload_folder.h"

namespace atelier::upkeep {
namespace {

namespace fs = std::filesystem;

constexpr char kRecovered[] = "recovered";
constexpr std::int64_t kMaxUploadFile = std::int64_t{64} << 10;
constexpr std::size_t kReadBytes = std::size_t{1} << 20;

// Moves `data_dir/path` to `data_dir/recovered/path`, or beside what is there already.
absl::StatusOr<std::string> MoveAway(const std::string& data_dir, const std::string& path) {
  const fs::path from = fs::path(data_dir) / path;
  std::string target = absl::StrCat(kRecovered, "/", path);
  for (int copy = 2; fs::exists(fs::symlink_status(fs::path(data_dir) / target)); ++copy) {
    target = absl::StrCat(kRecovered, "/", path, ".", copy);
  }
  const fs::path to = fs::path(data_dir) / target;
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  if (!error) fs::rename(from, to, error);
  if (!error && models::SyncPath(to.parent_path()) && models::SyncPath(from.parent_path())) {
    return absl::StrCat("moved to ", target);
  }
  return absl::InternalError(absl::StrCat(path, " cannot be moved to ", target, ": ",
                                          error ? error.message() : std::strerror(errno), "."));
}

class Orphans {
 public:
  Orphans(const std::string& data_dir, store::DatabaseCheck* database, Report* report)
      : data_dir_(data_dir), database_(*database), report_(*report) {}

  absl::Status Find() {
    auto reserved = database_.ReservedFolders();
    if (!reserved.ok()) return reserved.status();
    reserved_ = *std::move(reserved);
    absl::Status status = FindJobs("jobs");
    if (status.ok()) status = FindJobs("checkpoints");
    if (status.ok()) status = FindVersions("models", &store::DatabaseCheck::HasModelVersion);
    if (status.ok()) status = FindVersions("datasets", &store::DatabaseCheck::HasDatasetVersion);
    return status;
  }

 private:
  using HasRow = absl::StatusOr<bool> (store::DatabaseCheck::*)(absl::string_view, std::int64_t);

  void Tell(const std::string& path, absl::string_view why) {
    report_.Problem(absl::StrCat(path, " ", why),
                    "look at it, and move it away if nobody misses it",
                    [this, path] { return MoveAway(data_dir_, path); });
  }

  absl::Status FindJobs(const std::string& folder) {
    for (const std::string& job : models::NamesIn(fs::path(data_dir_) / folder)) {
      const auto known = database_.HasJob(job);
      if (!known.ok()) return known.status();
      if (!*known) Tell(absl::StrCat(folder, "/", job), "belongs to no job");
    }
    return absl::OkStatus();
  }

  absl::Status FindVersions(const std::string& folder, HasRow has_row) {
    for (const std::string& name : models::NamesIn(fs::path(data_dir_) / folder)) {
      for (const std::string& version : models::NamesIn(fs::path(data_dir_) / folder / name)) {
        const std::string path = absl::StrCat(folder, "/", name, "/", version);
        std::int64_t number = 0;
        const auto known = absl::SimpleAtoi(version, &number) ? (database_.*has_row)(name, number)
                                                              : absl::StatusOr<bool>(false);
        if (!known.ok()) return known.status();
        // A job that has not ended goes on with it.
        if (!*known && !reserved_.contains(path)) Tell(path, "belongs to no version");
      }
    }
    return absl::OkStatus();
  }

  const std::string& data_dir_;
  store::DatabaseCheck& database_;
  Report& report_;
  std::set<std::string> reserved_;
};

absl::StatusOr<std::string> DigestOf(const std::string& path) {
  auto file = models::RegularFile::Open(path);
  if (!file.ok()) return file.status();
  models::Sha256 digest;
  std::vector<char> piece(kReadBytes);
  for (std::int64_t at = 0; at < file->size();) {
    const auto got = file->Read(at, piece.data(), piece.size());
    if (!got.ok()) return got.status();
    if (*got == 0) break;
    digest.Update(piece.data(), *got);
    at += static_cast<std::int64_t>(*got);
  }
  return digest.Finish();
}

// What is wrong with an upload; empty if nothing is.
std::string UploadProblem(const fs::path& folder) {
  v1::Upload upload;
  const auto bytes = models::ReadWholeFile((folder / "upload.pb").string(), kMaxUploadFile);
  // Not announced yet when the server ended: its next start removes it.
  if (!fs::exists(folder / "upload.pb")) return "";
  if (!bytes.ok() || !upload.ParseFromString(*bytes)) return "its announcement cannot be read";
  const auto dataset = jobs::ParseDatasetName(upload.dataset());
  if (!dataset.ok() ||
      uploads::UploadFolder::IdOf(dataset->dataset, upload.size_bytes(), upload.sha256(),
                                  upload.creator()) != folder.filename().string()) {
    return "it is not called after what was announced";
  }
  const std::string content = folder / jobs::kUploadContent;
  struct stat about;
  if (stat(content.c_str(), &about) != 0) return "its content is missing";
  // The rest is still to come.
  if (about.st_size < upload.size_bytes()) return "";
  const auto digest = DigestOf(content);
  if (!digest.ok()) return std::string(digest.status().message());
  return *digest == upload.sha256() ? "" : "its content is not what was announced";
}

}  // namespace

absl::Status FindOrphans(const std::string& data_dir, store::DatabaseCheck* database,
                         Report* report) {
  return Orphans(data_dir, database, report).Find();
}

void CheckUploads(const std::string& data_dir, Report* report) {
  const fs::path folder = fs::path(data_dir) / "uploads";
  int sound = 0;
  for (const std::string& name : models::NamesIn(folder)) {
    const std::string problem = UploadProblem(folder / name);
    const std::string path = absl::StrCat("uploads/", name);
    sound += problem.empty() ? 1 : 0;
    if (problem.empty()) continue;
    report->Problem(absl::StrCat(path, ": ", problem), "its sender can send it again",
                    [&data_dir, path] { return MoveAway(data_dir, path); });
  }
  report->Say(absl::StrCat("uploads: ", sound, " sound"));
}

}  // namespace atelier::upkeep
