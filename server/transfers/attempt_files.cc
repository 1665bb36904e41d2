#include "server/transfers/attempt_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"
#include "models/base/failure.h"
#include "models/data/dataset_cache.h"
#include "models/files/file_digest.h"
#include "models/files/file_io.h"
#include "models/files/folder_names.h"
#include "models/files/regular_file.h"
#include "server/transfers/file_places.h"

namespace atelier::transfers {
namespace {

using worker::v1::Assignment;
using worker::v1::ListFilesResponse;
using worker::v1::ReadFileRequest;
using worker::v1::ReadFileResponse;
using worker::v1::WriteFileRequest;
using worker::v1::WriteFileResponse;

constexpr char kPart[] = ".part";
// Checkpoints of one attempt that stay: a damaged one has a predecessor.
constexpr std::size_t kKeptCheckpoints = 2;

absl::Status DiskError(absl::string_view doing, const std::string& path) {
  const bool full = errno == ENOSPC || errno == EDQUOT;
  const std::string message = absl::StrCat(doing, " ", path, " failed: ", std::strerror(errno));
  return full ? absl::UnavailableError(message) : absl::InternalError(message);
}

google::protobuf::Duration ToProto(absl::Duration duration) {
  return google::protobuf::util::TimeUtil::MicrosecondsToDuration(
      absl::ToInt64Microseconds(duration));
}

// Bytes of a plain file; 0 if there is none.
std::int64_t SizeOf(const std::string& path) {
  struct stat about;
  return lstat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) ? about.st_size : 0;
}

// What may be otherwise in a moment: somebody is at work with the file, the process has no
// descriptors left, the server stops.
bool IsPassing(const absl::Status& status) {
  return absl::IsAborted(status) || absl::IsResourceExhausted(status) || absl::IsCancelled(status);
}

// An error of a file that is read.
absl::Status ForWorker(const absl::Status& status) {
  if (absl::IsPermissionDenied(status) || absl::IsNotFound(status)) return status;
  return IsPassing(status) ? absl::UnavailableError(status.message())
                           : absl::InternalError(status.message());
}

// The same of a file that is known to have been there.
absl::Status ForReader(const absl::Status& status) {
  if (!absl::IsNotFound(status)) return ForWorker(status);
  return absl::FailedPreconditionError("The file is another one by now; list them again.");
}

// An error of a file that is written: one that is gone is written again.
absl::Status ForWriter(const absl::Status& status) {
  return absl::IsNotFound(status) ? absl::UnavailableError(status.message()) : ForWorker(status);
}

// Where the data set is to blame, trying again changes nothing.
absl::Status ForPacker(const absl::Status& status) {
  if (models::ReasonOf(status) == models::FailureReason::kBadData) {
    return absl::NotFoundError(status.message());
  }
  const bool passing =
      IsPassing(status) || models::ReasonOf(status) == models::FailureReason::kCancelled;
  return passing ? absl::UnavailableError(status.message()) : absl::InternalError(status.message());
}

absl::Status CheckRequest(const Assignment& assignment, const WriteFileRequest& request) {
  if (request.data().size() > AttemptFiles::kMaxPiece || request.offset() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("A piece has at most ", AttemptFiles::kMaxPiece,
                                                   " bytes and begins at 0 or later; this one has ",
                                                   request.data().size(), " and begins at ",
                                                   request.offset(), "."));
  }
  if (request.file().kind() == worker::v1::FILE_KIND_LOG) return absl::OkStatus();
  const std::int64_t most = LargestOf(assignment, request.file().kind());
  if (request.size_bytes() < 1 || request.size_bytes() > most) {
    return absl::InvalidArgumentError(absl::StrCat(
        "A file of ", request.size_bytes(), " bytes is not taken; it may have 1 to ", most, "."));
  }
  if (models::IsSha256(request.sha256())) return absl::OkStatus();
  return absl::InvalidArgumentError("The SHA-256 is not 64 lower-case hexadecimal digits.");
}

// Writes at the end of a file, which is left as it was if that fails.
absl::Status WriteAtEnd(const std::string& path, std::int64_t end, absl::string_view bytes) {
  const int descriptor =
      open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
  if (descriptor < 0) return DiskError("opening", path);
  const absl::Cleanup close_it = [descriptor] { close(descriptor); };
  if (lseek(descriptor, end, SEEK_SET) == end && models::WriteAll(descriptor, bytes)) {
    return absl::OkStatus();
  }
  absl::Status failed = DiskError("writing", path);
  [[maybe_unused]] const int cut = ftruncate(descriptor, end);
  return failed;
}

void RemovePartsBut(const std::string& folder, const std::string& kept) {
  for (const std::string& name : models::NamesIn(folder)) {
    const std::string path = absl::StrCat(folder, "/", name);
    if (absl::EndsWith(name, kPart) && path != kept) unlink(path.c_str());
  }
}

}  // namespace

absl::StatusOr<AttemptFiles::Packed> AttemptFiles::Pack(const Assignment& assignment) {
  const std::string& folder = assignment.dataset_dir();
  const auto claim = known_.Take(folder);
  if (!claim.ok()) return ForPacker(claim.status());
  const auto path = models::DatasetCache({assignment.dataset_cache_dir()}).Prepare(folder, &stop_);
  if (!path.ok()) return ForPacker(path.status());
  auto file = models::RegularFile::Open(*path);
  const auto sum = known_.Sha256(*path, &stop_);
  for (const absl::Status& status : {file.status(), sum.status()}) {
    // Removed in between for another data set.
    if (absl::IsNotFound(status)) return absl::UnavailableError(status.message());
    if (!status.ok()) return ForPacker(status);
  }
  const Packed packed{std::make_shared<models::RegularFile>(*std::move(file)), *sum};
  MutexLock lock(&mutex_);
  return packed_[folder] = packed;
}

absl::StatusOr<ListFilesResponse> AttemptFiles::List(const Assignment& assignment,
                                                     worker::v1::FileKind kind) {
  const auto places = SourcesOf(assignment, kind);
  if (!places.ok()) return ForWorker(places.status());
  ListFilesResponse response;
  const auto add = [&](std::int64_t number, std::int64_t size, const std::string& sha256) {
    worker::v1::ListedFile* file = response.add_files();
    file->set_number(number);
    file->set_size_bytes(size);
    file->set_sha256(sha256);
  };
  if (kind == worker::v1::FILE_KIND_DATASET && places->empty()) {
    const auto packed = Pack(assignment);
    if (!packed.ok()) return packed.status();
    add(0, packed->file->size(), packed->sha256);
  }
  const bool one = kind == worker::v1::FILE_KIND_DATASET ||
                   kind == worker::v1::FILE_KIND_START_ARCHIVE ||
                   kind == worker::v1::FILE_KIND_EVALUATION_ARCHIVE ||
                   kind == worker::v1::FILE_KIND_IMPORT_SOURCE;
  for (const FilePlace& place : *places) {
    const auto sum = known_.Sha256(place.path, &stop_);
    if (sum.ok()) {
      add(place.number, SizeOf(place.path), *sum);
    } else if (one || IsPassing(sum.status())) {
      return ForWorker(sum.status());
    }
    // Of several, one that is gone or damaged leaves the others.
  }
  return response;
}

absl::StatusOr<std::shared_ptr<const models::RegularFile>> AttemptFiles::Open(
    const Assignment& assignment, const ReadFileRequest& request) {
  const auto places = SourcesOf(assignment, request.file().kind());
  if (!places.ok()) return ForWorker(places.status());
  for (const FilePlace& place : *places) {
    if (place.number != request.file().number()) continue;
    const auto sum = known_.Sha256(place.path, &stop_);
    if (!sum.ok()) return ForReader(sum.status());
    if (*sum != request.sha256()) break;
    auto file = models::RegularFile::Open(place.path);
    if (!file.ok()) return ForReader(file.status());
    return std::make_shared<models::RegularFile>(*std::move(file));
  }
  MutexLock lock(&mutex_);
  const auto packed = packed_.find(assignment.dataset_dir());
  if (request.file().kind() == worker::v1::FILE_KIND_DATASET && packed != packed_.end() &&
      packed->second.sha256 == request.sha256()) {
    return packed->second.file;
  }
  return ForReader(absl::NotFoundError(""));
}

absl::StatusOr<ReadFileResponse> AttemptFiles::Read(const Assignment& assignment,
                                                    const ReadFileRequest& request) {
  const auto opened = Open(assignment, request);
  if (!opened.ok()) return opened.status();
  const models::RegularFile& file = **opened;
  if (request.offset() < 0 || request.offset() > file.size()) {
    return absl::InvalidArgumentError(absl::StrCat("The file has no byte ", request.offset(),
                                                   "; it has ", file.size(), " bytes."));
  }
  const std::int64_t size =
      std::min(static_cast<std::int64_t>(kMaxPiece), file.size() - request.offset());
  const auto pause = pacer_.Take(size);
  if (!pause.ok()) return pause.status();
  ReadFileResponse response;
  std::string* data = response.mutable_data();
  data->resize(static_cast<std::size_t>(size));
  const auto read = file.ReadExactly(request.offset(), data->data(), data->size());
  if (!read.ok()) return ForReader(absl::IsOutOfRange(read) ? absl::NotFoundError("") : read);
  *response.mutable_pause() = ToProto(*pause);
  return response;
}

absl::StatusOr<WriteFileResponse> AttemptFiles::Write(const Assignment& assignment,
                                                      const WriteFileRequest& request) {
  const auto path = TargetOf(assignment, request.file());
  if (!path.ok()) return path.status();
  if (auto status = CheckRequest(assignment, request); !status.ok()) return status;
  const auto pause = pacer_.Take(static_cast<std::int64_t>(request.data().size()));
  if (!pause.ok()) return pause.status();
  const auto claim = known_.Take(absl::StrCat(*path, kPart));
  if (!claim.ok()) return ForWorker(claim.status());
  if (request.file().kind() == worker::v1::FILE_KIND_LOG) {
    return Append(*path, LargestOf(assignment, request.file().kind()), request);
  }
  WriteFileResponse response;
  *response.mutable_pause() = ToProto(*pause);
  // Sent again, as the answer was lost, or before it was durable.
  if (SizeOf(*path) == request.size_bytes()) {
    const auto sum = known_.Sha256(*path, &stop_);
    if (!sum.ok()) return ForWriter(sum.status());
    response.set_stored(*sum == request.sha256());
    if (response.stored()) {
      if (auto status = Settle(*path, request.file().kind()); !status.ok()) return status;
    }
  }
  std::int64_t received = request.size_bytes();
  if (!response.stored()) {
    const auto added = AddPiece(absl::StrCat(*path, kPart), request);
    if (!added.ok()) return added.status();
    received = *added;
    if (received == request.size_bytes()) {
      if (auto status = Store(*path, request); !status.ok()) return status;
      response.set_stored(true);
    }
  }
  response.set_received_bytes(received);
  return response;
}

absl::StatusOr<std::int64_t> AttemptFiles::AddPiece(const std::string& part,
                                                    const WriteFileRequest& request) {
  std::int64_t there = SizeOf(part);
  if (there > request.size_bytes()) {
    unlink(part.c_str());
    there = 0;
  }
  const auto bytes = static_cast<std::int64_t>(request.data().size());
  if (bytes == 0 || request.offset() != there) return there;
  if (bytes > request.size_bytes() - there) {
    return absl::InvalidArgumentError(absl::StrCat("The piece ends at byte ", there + bytes,
                                                   " of a file that has ", request.size_bytes(),
                                                   "."));
  }
  // One file at a time, so that what is given up does not stay.
  if (there == 0) RemovePartsBut(models::FolderOf(part), part);
  if (auto status = WriteAtEnd(part, there, request.data()); !status.ok()) return status;
  return there + bytes;
}

absl::Status AttemptFiles::Store(const std::string& path, const WriteFileRequest& request) {
  const std::string part = absl::StrCat(path, kPart);
  const auto sum = models::Sha256OfFile(part, &stop_);
  if (!sum.ok()) return ForWriter(sum.status());
  if (*sum != request.sha256()) {
    unlink(part.c_str());
    return absl::DataLossError(absl::StrCat("What was received has the SHA-256 ", *sum, ", not ",
                                            request.sha256(), "; send the file again."));
  }
  if (!models::SyncPath(part)) {
    absl::Status failed = DiskError("syncing", part);
    // What of it is on the disk nobody knows.
    unlink(part.c_str());
    return failed;
  }
  if (rename(part.c_str(), path.c_str()) != 0) return DiskError("renaming", part);
  known_.Remember(path, *sum);
  return Settle(path, request.file().kind());
}

absl::Status AttemptFiles::Settle(const std::string& path, worker::v1::FileKind kind) {
  const std::string folder = models::FolderOf(path);
  if (!models::SyncPath(folder)) return DiskError("syncing", folder);
  if (kind != worker::v1::FILE_KIND_CHECKPOINT) return absl::OkStatus();
  const auto numbers = CheckpointsIn(folder);
  for (std::size_t i = kKeptCheckpoints; i < numbers.size(); ++i) {
    unlink(CheckpointPath(folder, numbers[i]).c_str());
  }
  return absl::OkStatus();
}

// What of the piece is there already, since the answer was lost, is passed over.
absl::StatusOr<WriteFileResponse> AttemptFiles::Append(const std::string& path, std::int64_t most,
                                                       const WriteFileRequest& request) {
  WriteFileResponse response;
  const std::int64_t there = SizeOf(path);
  response.set_received_bytes(there);
  const std::int64_t known = there - request.offset();
  if (known < 0 || known >= static_cast<std::int64_t>(request.data().size())) return response;
  const absl::string_view added =
      absl::string_view(request.data()).substr(static_cast<std::size_t>(known));
  const std::int64_t end = there + static_cast<std::int64_t>(added.size());
  if (end > most) {
    return absl::ResourceExhaustedError(
        absl::StrCat("The log has reached its ", most, " bytes; nothing more is written to it."));
  }
  if (auto status = WriteAtEnd(path, there, added); !status.ok()) return status;
  response.set_received_bytes(end);
  return response;
}

void AttemptFiles::RemoveParts(const Assignment& assignment) {
  RemovePartsBut(assignment.attempt_dir(), "");
}

}  // namespace atelier::transfers
