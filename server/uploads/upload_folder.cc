#include "server/uploads/upload_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/files/durable_file.h"
#include "models/files/file_io.h"
#include "models/files/sha256.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/error.h"
#include "server/jobs/job_state.h"
#include "server/jobs/resource_names.h"
#include "server/uploads/upload_digest.h"
#include "server/uploads/upload_errors.h"

namespace atelier::uploads {
namespace {

namespace fs = std::filesystem;

constexpr char kAnnouncement[] = "upload.pb";
constexpr std::int64_t kMaxAnnouncement = std::int64_t{64} << 10;
constexpr std::size_t kIdDigits = 32;
constexpr std::int64_t kReadPiece = std::int64_t{1} << 20;
constexpr absl::Duration kTickInterval = absl::Minutes(10);

absl::Status NotFound(absl::string_view id) {
  return jobs::Error(
      absl::StatusCode::kNotFound, "UPLOAD_NOT_FOUND",
      absl::StrCat("There is no upload ", id, "; one that was not used for a day is deleted."));
}

absl::Status RemoveFolder(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (!error) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(path, " cannot be removed: ", error.message(), "."));
}

// What was announced, if the folder has it and is called after it.
std::optional<v1::Upload> ReadAnnouncement(const fs::path& folder) {
  v1::Upload upload;
  const auto bytes = models::ReadWholeFile((folder / kAnnouncement).string(), kMaxAnnouncement);
  if (!bytes.ok() || !upload.ParseFromString(*bytes)) return std::nullopt;
  const auto dataset = jobs::ParseDatasetName(upload.dataset());
  if (!dataset.ok() || UploadFolder::IdOf(dataset->dataset, upload.size_bytes(), upload.sha256(),
                                          upload.creator()) != folder.filename().string()) {
    return std::nullopt;
  }
  return upload;
}

}  // namespace

UploadFolder::UploadFolder(Options options, const Clock* clock)
    : options_(std::move(options)), clock_(clock) {}

absl::StatusOr<std::unique_ptr<UploadFolder>> UploadFolder::Open(Options options,
                                                                 const Clock* clock) {
  std::unique_ptr<UploadFolder> folder(new UploadFolder(std::move(options), clock));
  if (absl::Status status = folder->TakeOver(); !status.ok()) return status;
  return folder;
}

std::string UploadFolder::IdOf(absl::string_view dataset, std::int64_t size_bytes,
                               absl::string_view sha256, absl::string_view creator) {
  std::string key = absl::StrCat(dataset, "\n", size_bytes, "\n", sha256);
  if (!creator.empty()) absl::StrAppend(&key, "\n", creator);
  return models::Sha256Of(key).substr(0, kIdDigits);
}

std::string UploadFolder::PathOf(absl::string_view id) const {
  return absl::StrCat(options_.folder, "/", id, "/", jobs::kUploadContent);
}

absl::Status UploadFolder::TakeOver() {
  std::error_code error;
  fs::create_directories(options_.folder, error);
  if (error) {
    return absl::PermissionDeniedError(absl::StrCat("The folder for uploads, ", options_.folder,
                                                    ", cannot be made: ", error.message(), "."));
  }
  MutexLock lock(&mutex_);
  for (fs::directory_iterator folder(options_.folder, error), end; !error && folder != end;
       folder.increment(error)) {
    auto upload = ReadAnnouncement(folder->path());
    struct stat content;
    if (!upload.has_value() ||
        stat((folder->path() / jobs::kUploadContent).c_str(), &content) != 0) {
      // One that a server did not get round to announce, or nothing of ours.
      if (absl::Status status = RemoveFolder(folder->path()); !status.ok()) return status;
      continue;
    }
    auto entry = std::make_shared<Entry>();
    upload->set_received_bytes(std::min<std::int64_t>(content.st_size, upload->size_bytes()));
    entry->upload = *std::move(upload);
    const absl::Duration unused = clock_->Now() - absl::FromTimeT(content.st_mtime);
    entry->used = clock_->Elapsed() - std::max(absl::ZeroDuration(), unused);
    entries_[folder->path().filename()] = std::move(entry);
  }
  return absl::OkStatus();
}

absl::Status UploadFolder::CheckRoom(const v1::Upload& wanted, std::int64_t taken) const {
  if (entries_.size() >= options_.max_uploads) {
    return jobs::Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_UPLOADS",
                       absl::StrCat("There are ", entries_.size(),
                                    " uploads, the most there may be; those that are not used for "
                                    "a day are deleted."));
  }
  std::int64_t announced = 0;
  for (const auto& [id, entry] : entries_) announced += entry->upload.size_bytes();
  const std::int64_t room = options_.space - taken - announced;
  if (wanted.size_bytes() <= room) return absl::OkStatus();
  return jobs::Error(
      absl::StatusCode::kResourceExhausted, "DATASET_SPACE",
      absl::StrCat("The upload has ", wanted.size_bytes(), " bytes; of the ", options_.space,
                   " for data sets (--dataset_space) ", std::max<std::int64_t>(0, room),
                   " are free: data sets have ", taken, ", other uploads ", announced,
                   ". Delete versions that are not needed."));
}

absl::StatusOr<v1::Upload> UploadFolder::Create(v1::Upload wanted, std::int64_t taken) {
  const auto dataset = jobs::ParseDatasetName(wanted.dataset(), "dataset");
  if (!dataset.ok()) return dataset.status();
  const std::string id =
      IdOf(dataset->dataset, wanted.size_bytes(), wanted.sha256(), wanted.creator());
  MutexLock disk_lock(&disk_mutex_);
  {
    MutexLock lock(&mutex_);
    if (const auto found = entries_.find(id); found != entries_.end()) {
      found->second->used = clock_->Elapsed();
      found->second->imported = false;
      return found->second->upload;
    }
    if (absl::Status status = CheckRoom(wanted, taken); !status.ok()) return status;
  }
  wanted.set_name(jobs::UploadName(id));
  wanted.clear_received_bytes();
  wanted.clear_existing_version();
  const fs::path content = PathOf(id);
  std::error_code error;
  fs::create_directories(content.parent_path(), error);
  const int made = error ? -1 : open(content.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (made < 0) return FileError("making", content);
  close(made);
  // Last, so that there is never an announcement without its content.
  absl::Status status = models::WriteFileDurably((content.parent_path() / kAnnouncement).string(),
                                                 wanted.SerializeAsString());
  if (status.ok() && !models::SyncPath(options_.folder)) status = FileError("syncing", content);
  if (!status.ok()) {
    RemoveFolder(content.parent_path()).IgnoreError();
    return status;
  }
  auto entry = std::make_shared<Entry>();
  entry->upload = wanted;
  entry->used = clock_->Elapsed();
  MutexLock lock(&mutex_);
  entries_[id] = std::move(entry);
  return wanted;
}

std::int64_t UploadFolder::BytesOf(absl::string_view creator, const std::string& but_id) const {
  MutexLock lock(&mutex_);
  std::int64_t bytes = 0;
  for (const auto& [id, entry] : entries_) {
    if (entry->upload.creator() == creator && id != but_id) bytes += entry->upload.size_bytes();
  }
  return bytes;
}

absl::StatusOr<v1::Upload> UploadFolder::Get(const std::string& id) {
  MutexLock lock(&mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return NotFound(id);
  found->second->used = clock_->Elapsed();
  return found->second->upload;
}

absl::StatusOr<std::shared_ptr<UploadFolder::Entry>> UploadFolder::Claim(const std::string& id) {
  MutexLock lock(&mutex_);
  const auto found = entries_.find(id);
  if (found == entries_.end()) return NotFound(id);
  if (found->second->claimed) {
    return jobs::Error(absl::StatusCode::kAborted, "UPLOAD_BUSY",
                       absl::StrCat("Another client is sending ", found->second->upload.name(),
                                    ", the same content for the same data set."));
  }
  found->second->claimed = true;
  return found->second;
}

void UploadFolder::Unclaim(Entry* entry) {
  MutexLock lock(&mutex_);
  entry->claimed = false;
  entry->used = clock_->Elapsed();
}

// Reads what the digest lacks: all of it after a restart, nothing where one writer wrote all.
absl::Status UploadFolder::Verify(const std::string& id, Entry* claimed, int descriptor) {
  const std::int64_t size = claimed->upload.size_bytes();
  std::vector<char> piece(static_cast<std::size_t>(kReadPiece));
  Digest& digest = *claimed->digest;
  while (digest.bytes < size) {
    const auto wanted = static_cast<std::size_t>(std::min(kReadPiece, size - digest.bytes));
    const ssize_t got = pread(descriptor, piece.data(), wanted, digest.bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("reading", PathOf(id));
    if (got == 0) break;
    digest.sha256.Update(piece.data(), static_cast<std::size_t>(got));
    digest.bytes += got;
  }
  const std::string sha256 = digest.sha256.Finish();
  claimed->digest.reset();
  const bool right = sha256 == claimed->upload.sha256();
  if (!right && ftruncate(descriptor, 0) != 0) return FileError("emptying", PathOf(id));
  MutexLock lock(&mutex_);
  claimed->verified = right;
  if (right) return absl::OkStatus();
  claimed->upload.set_received_bytes(0);
  return jobs::Error(absl::StatusCode::kDataLoss, "WRONG_CHECKSUM",
                     absl::StrCat("What was received has the SHA-256 ", sha256, " where ",
                                  claimed->upload.sha256(),
                                  " was announced: it changed while it was sent. Send it again."));
}

absl::StatusOr<v1::Upload> UploadFolder::Complete(const std::string& id) {
  auto entry = Claim(id);
  if (!entry.ok()) return entry.status();
  v1::Upload upload;
  bool verified = false;
  {
    MutexLock lock(&mutex_);
    upload = (*entry)->upload;
    verified = (*entry)->verified;
  }
  absl::Status status;
  if (upload.received_bytes() < upload.size_bytes()) {
    status = jobs::Error(absl::StatusCode::kFailedPrecondition, "UPLOAD_INCOMPLETE",
                         absl::StrCat("Of ", upload.name(), " ", upload.received_bytes(), " of ",
                                      upload.size_bytes(), " bytes are there; send the rest."));
  } else if (!verified) {
    const int descriptor = open(PathOf(id).c_str(), O_RDWR | O_CLOEXEC);
    (*entry)->digest = std::make_shared<Digest>();
    status =
        descriptor < 0 ? FileError("opening", PathOf(id)) : Verify(id, entry->get(), descriptor);
    if (descriptor >= 0) close(descriptor);
  }
  Unclaim(entry->get());
  if (!status.ok()) return status;
  return upload;
}

absl::StatusOr<v1::TrainingJob> UploadFolder::Import(const std::string& id, StartImport start) {
  std::shared_ptr<Entry> entry;
  std::optional<v1::Upload> verified;
  {
    MutexLock lock(&mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return NotFound(id);
    entry = found->second;
    ++entry->starting;
    // Nothing is left to check, so that two may import it at the same time.
    if (entry->verified) verified = entry->upload;
  }
  const absl::StatusOr<v1::Upload> upload =
      verified.has_value() ? absl::StatusOr<v1::Upload>(*std::move(verified)) : Complete(id);
  auto job = upload.ok() ? start(*upload) : upload.status();
  MutexLock lock(&mutex_);
  --entry->starting;
  if (entry->imported && kick_) kick_();
  return job;
}

absl::Status UploadFolder::Remove(const std::string& id) {
  MutexLock disk_lock(&disk_mutex_);
  {
    MutexLock lock(&mutex_);
    const auto found = entries_.find(id);
    if (found == entries_.end()) return NotFound(id);
    const Entry& entry = *found->second;
    if (entry.IsUsed()) {
      return jobs::Error(
          absl::StatusCode::kFailedPrecondition, "UPLOAD_IN_USE",
          absl::StrCat(entry.upload.name(), " is being ",
                       entry.claimed ? std::string("received.")
                       : entry.jobs.empty()
                           ? std::string("imported.")
                           : absl::StrCat("imported by job ", *entry.jobs.begin(), ".")));
    }
    entries_.erase(found);
  }
  return RemoveFolder(absl::StrCat(options_.folder, "/", id));
}

absl::StatusOr<std::unique_ptr<UploadWriter>> UploadFolder::OpenWriter(const std::string& id,
                                                                       std::int64_t offset) {
  auto entry = Claim(id);
  if (!entry.ok()) return entry.status();
  std::int64_t received = 0;
  {
    MutexLock lock(&mutex_);
    received = (*entry)->upload.received_bytes();
  }
  absl::Status status;
  int descriptor = -1;
  if (offset != received) {
    status = WrongOffset(offset, received);
  } else {
    descriptor = open(PathOf(id).c_str(), O_RDWR | O_CLOEXEC);
    // What lies beyond was written, but is not known to be durable.
    if (descriptor < 0 || ftruncate(descriptor, received) != 0 ||
        lseek(descriptor, received, SEEK_SET) != received) {
      status = FileError("opening", PathOf(id));
    }
  }
  if (!status.ok()) {
    if (descriptor >= 0) close(descriptor);
    Unclaim(entry->get());
    return status;
  }
  if ((*entry)->digest == nullptr || (*entry)->digest->bytes > received) {
    (*entry)->digest = std::make_shared<Digest>();
  }
  return std::unique_ptr<UploadWriter>(new UploadWriter(this, id, *std::move(entry), descriptor));
}

void UploadFolder::Stored(const jobs::JobRecord& record,
                          const std::vector<v1::JobEvent>& /*events*/) {
  if (!record.job.has_import()) return;
  const auto id = jobs::ParseUploadName(record.job.import().upload());
  MutexLock lock(&mutex_);
  const auto found = id.ok() ? entries_.find(*id) : entries_.end();
  if (found == entries_.end()) return;
  Entry& entry = *found->second;
  entry.used = clock_->Elapsed();
  if (!jobs::IsTerminal(record.job.state())) {
    entry.jobs.insert(record.id);
    return;
  }
  entry.jobs.erase(record.id);
  entry.imported = entry.imported || record.job.state() == v1::JOB_STATE_COMPLETED;
  if (entry.imported && kick_) kick_();
}

std::vector<std::string> UploadFolder::TakeOutdated() {
  std::vector<std::string> outdated;
  MutexLock lock(&mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const Entry& upload = *entry->second;
    if (!upload.IsUsed() && (upload.imported || clock_->Elapsed() - upload.used > options_.idle)) {
      outdated.push_back(entry->first);
      entry = entries_.erase(entry);
    } else {
      ++entry;
    }
  }
  return outdated;
}

absl::Duration UploadFolder::Tick() {
  MutexLock disk_lock(&disk_mutex_);
  for (const std::string& id : TakeOutdated()) {
    const absl::Status status = RemoveFolder(absl::StrCat(options_.folder, "/", id));
    if (!status.ok() && options_.log) options_.log(std::string(status.message()));
  }
  return kTickInterval;
}

void UploadFolder::SetKick(std::function<void()> kick) {
  MutexLock lock(&mutex_);
  kick_ = std::move(kick);
}

}  // namespace atelier::uploads
