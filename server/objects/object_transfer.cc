#include "server/objects/object_transfer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "models/files/file_io.h"
#include "models/files/regular_file.h"
#include "server/base/mutex.h"

namespace atelier::objects {
namespace {

constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
constexpr std::int64_t kPartBytes = 16 * kMebibyte;
constexpr std::int64_t kMaxParts = 10'000;
constexpr int kReadTries = 2;  // Of a part that came damaged.
// Parts on their way at once: while the store checks one, others are read and sent. A part that is
// fetched is in memory.
constexpr std::int64_t kPartsAtOnce = 4;

std::int64_t PartsOf(const jobs::ObjectRecord& record) {
  return std::max<std::int64_t>(1, (record.size_bytes + record.part_bytes - 1) / record.part_bytes);
}

std::int64_t BytesOf(const jobs::ObjectRecord& record, std::int64_t part) {
  return std::min(record.part_bytes, record.size_bytes - part * record.part_bytes);
}

absl::string_view PartDigest(const jobs::ObjectRecord& record, std::int64_t part) {
  return absl::string_view(record.digests)
      .substr(static_cast<std::size_t>(part) * kSha256Bytes, kSha256Bytes);
}

absl::Status FileError(absl::string_view what, const std::string& path) {
  const std::string message = absl::StrCat(path, " cannot be ", what, ": ", std::strerror(errno));
  return errno == ENOSPC || errno == EDQUOT ? absl::ResourceExhaustedError(message)
                                            : absl::InternalError(message);
}

// Whether the open file has that part, undamaged.
bool HasPart(const models::RegularFile& file, const jobs::ObjectRecord& record, std::int64_t part) {
  const auto digests = DigestsOf(file, part * record.part_bytes, BytesOf(record, part));
  return digests.ok() && digests->sha256 == PartDigest(record, part);
}

// Calls `move` for every part, several at once. After an error no further one is begun; answers
// with the first.
absl::Status ForEachPart(std::int64_t parts,
                         absl::FunctionRef<absl::Status(std::int64_t part)> move) {
  std::atomic<std::int64_t> next{0};
  Mutex mutex;
  absl::Status first;
  const auto work = [&] {
    for (std::int64_t part = next++; part < parts; part = next++) {
      const absl::Status moved = move(part);
      if (moved.ok()) continue;
      next = parts;
      MutexLock lock(&mutex);
      first.Update(moved);
    }
  };
  std::vector<std::thread> others;
  try {
    while (static_cast<std::int64_t>(others.size()) + 1 < std::min(parts, kPartsAtOnce)) {
      others.emplace_back(work);
    }
  } catch (const std::system_error&) {
    // The machine has no more threads: those that there are do it all.
  }
  work();
  for (std::thread& other : others) other.join();
  return first;
}

}  // namespace

std::int64_t PartBytes(std::int64_t size_bytes) {
  const std::int64_t needed = (size_bytes + kMaxParts - 1) / kMaxParts;
  return std::max(kPartBytes, (needed + kMebibyte - 1) / kMebibyte * kMebibyte);
}

struct ObjectTransfer::Sending {
  jobs::ObjectRecord record;
  const models::RegularFile& file;
  const KeepUpload& keep;
  std::string md5s = {};
  std::vector<std::string> etags = {};

  // Makes room for what is kept of each part.
  void Begin() {
    const auto parts = static_cast<std::size_t>(PartsOf(record));
    record.digests.resize(parts * kSha256Bytes);
    md5s.resize(parts * kMd5Bytes);
    etags.resize(parts);
  }

  // The part, whose digests are put with the others'. Several threads may read different parts.
  absl::StatusOr<S3Client::Piece> Read(std::int64_t part) {
    S3Client::Piece piece{.file = &file,
                          .offset = part * record.part_bytes,
                          .bytes = BytesOf(record, part),
                          .digests = {}};
    auto digests = DigestsOf(file, piece.offset, piece.bytes);
    if (!digests.ok()) return digests.status();
    piece.digests = *std::move(digests);
    const auto number = static_cast<std::size_t>(part);
    piece.digests.sha256.copy(record.digests.data() + number * kSha256Bytes, kSha256Bytes);
    piece.digests.md5.copy(md5s.data() + number * kMd5Bytes, kMd5Bytes);
    return piece;
  }
};

absl::StatusOr<std::string> ObjectTransfer::SendWhole(Sending* sending) {
  const auto piece = sending->Read(0);
  if (!piece.ok()) return piece.status();
  const auto etag = client_->Put(sending->record.key, *piece);
  if (!etag.ok()) return etag.status();
  return absl::BytesToHexString(piece->digests.md5);
}

// Goes on with the upload that was begun, if the store still has it.
absl::Status ObjectTransfer::BeginParts(Sending* sending, std::map<int, S3Client::Object>* there) {
  jobs::ObjectRecord& record = sending->record;
  if (!record.upload.empty()) {
    auto parts = client_->Parts(record.key, record.upload);
    if (parts.ok()) *there = *std::move(parts);
    if (!absl::IsNotFound(parts.status())) return parts.status();
  }
  auto begun = client_->BeginUpload(record.key);
  if (!begun.ok()) return begun.status();
  record.upload = *std::move(begun);
  return sending->keep(record.upload);
}

absl::StatusOr<std::string> ObjectTransfer::SendParts(Sending* sending) {
  jobs::ObjectRecord& record = sending->record;
  std::map<int, S3Client::Object> there;
  if (auto begun = BeginParts(sending, &there); !begun.ok()) return begun;
  const absl::Status sent = ForEachPart(PartsOf(record), [&](std::int64_t part) {
    const auto piece = sending->Read(part);
    if (!piece.ok()) return piece.status();
    const int number = static_cast<int>(part) + 1;
    std::string& etag = sending->etags[static_cast<std::size_t>(part)];
    const auto kept = there.find(number);
    if (kept != there.end() && kept->second.bytes == piece->bytes &&
        kept->second.etag == absl::BytesToHexString(piece->digests.md5)) {
      etag = kept->second.etag;
      return absl::OkStatus();
    }
    auto put = client_->PutPart(record.key, record.upload, number, *piece);
    if (put.ok()) etag = *std::move(put);
    return put.status();
  });
  if (!sent.ok()) return sent;
  const absl::Status finished = client_->FinishUpload(record.key, record.upload, sending->etags);
  // Its answer to an earlier try may have been lost; whether it is there is looked at next.
  if (!finished.ok() && !absl::IsNotFound(finished)) return finished;
  return absl::StrCat(absl::BytesToHexString(Md5(sending->md5s)), "-", PartsOf(record));
}

absl::StatusOr<jobs::ObjectRecord> ObjectTransfer::Upload(jobs::ObjectRecord record,
                                                          const std::string& file,
                                                          const KeepUpload& keep) {
  auto open = models::RegularFile::Open(file);
  if (!open.ok()) return absl::InternalError(open.status().message());
  record.size_bytes = open->size();
  record.part_bytes = PartBytes(record.size_bytes);
  record.digests.clear();
  Sending sending{.record = std::move(record), .file = *open, .keep = keep};
  sending.Begin();
  const auto etag = PartsOf(sending.record) == 1 ? SendWhole(&sending) : SendParts(&sending);
  if (!etag.ok()) return etag.status();
  absl::Status verified = Verify(sending.record, *etag);
  if (absl::IsNotFound(verified)) {
    // Begun anew: the store has forgotten the upload.
    verified = keep("");
    if (verified.ok()) verified = absl::UnavailableError("the store does not have what was sent");
  }
  if (!verified.ok()) return verified;
  return std::move(sending.record);
}

absl::Status ObjectTransfer::Verify(const jobs::ObjectRecord& record, const std::string& etag) {
  const auto object = client_->Head(record.key);
  if (!object.ok()) return object.status();
  if (object->bytes != record.size_bytes) {
    return absl::DataLossError(absl::StrCat("the store has ", object->bytes, " bytes where ",
                                            record.size_bytes, " were sent"));
  }
  if (object->etag == etag) return absl::OkStatus();
  // Encrypted with keys of the store's service, or no Amazon.
  return ForEachPart(PartsOf(record),
                     [&](std::int64_t part) { return FetchPart(record, part).status(); });
}

absl::StatusOr<std::string> ObjectTransfer::FetchPart(const jobs::ObjectRecord& record,
                                                      std::int64_t part) {
  absl::Status status;
  for (int tries = 0; tries < kReadTries; ++tries) {
    auto bytes = client_->Get(record.key, part * record.part_bytes, BytesOf(record, part));
    status = bytes.status();
    if (bytes.ok() && Sha256(*bytes) == PartDigest(record, part)) return bytes;
    if (bytes.ok()) {
      status = absl::DataLossError("the store answered with other bytes than were stored");
    }
    if (!absl::IsDataLoss(status)) return status;
  }
  return status;
}

absl::Status ObjectTransfer::Fetch(const jobs::ObjectRecord& record, const std::string& file) {
  const std::string partial = file + ".fetch";
  std::error_code error;
  std::filesystem::create_directories(models::FolderOf(file), error);
  const int descriptor = open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (descriptor < 0) return FileError("made", partial);
  const auto close_it = absl::MakeCleanup([descriptor] { close(descriptor); });
  const auto earlier = models::RegularFile::Open(partial);
  if (!earlier.ok()) return earlier.status();
  const absl::Status fetched = ForEachPart(PartsOf(record), [&](std::int64_t part) {
    const std::int64_t offset = part * record.part_bytes;
    if (earlier->size() > offset && HasPart(*earlier, record, part)) return absl::OkStatus();
    const auto bytes = FetchPart(record, part);
    if (!bytes.ok()) return bytes.status();
    return models::WriteAllAt(descriptor, *bytes, offset) ? absl::OkStatus()
                                                          : FileError("written", partial);
  });
  if (!fetched.ok()) return fetched;
  if (ftruncate(descriptor, record.size_bytes) != 0) return FileError("written", partial);
  if (fsync(descriptor) != 0) return FileError("synced", partial);
  if (rename(partial.c_str(), file.c_str()) != 0) return FileError("renamed", partial);
  // Of the folders above it, a power cut costs no more than another fetch.
  return models::SyncPath(models::FolderOf(file)) ? absl::OkStatus() : FileError("synced", file);
}

absl::Status ObjectTransfer::Remove(const jobs::ObjectRecord& record) {
  if (!record.upload.empty()) {
    const absl::Status aborted = client_->AbortUpload(record.key, record.upload);
    if (!aborted.ok()) return aborted;
  }
  return client_->Delete(record.key);
}

}  // namespace atelier::objects
