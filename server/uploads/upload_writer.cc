// UploadWriter: the pieces of one upload.
#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "models/files/file_io.h"
#include "server/jobs/error.h"
#include "server/uploads/upload_digest.h"
#include "server/uploads/upload_errors.h"
#include "server/uploads/upload_folder.h"

namespace atelier::uploads {
namespace {

// Bytes written between two syncs: what a crash of the machine costs at most.
constexpr std::int64_t kUnsynced = std::int64_t{64} << 20;
// Bytes after which the disk is asked to begin, so that a sync waits for the last of them alone.
constexpr std::int64_t kBegun = std::int64_t{4} << 20;

}  // namespace

UploadWriter::UploadWriter(UploadFolder* folder, std::string id,
                           std::shared_ptr<UploadFolder::Entry> entry, int descriptor)
    : folder_(folder),
      id_(std::move(id)),
      entry_(std::move(entry)),
      descriptor_(descriptor),
      size_(entry_->upload.size_bytes()),
      position_(entry_->upload.received_bytes()),
      durable_(position_),
      begun_(position_) {}

UploadWriter::~UploadWriter() {
  // What cannot be synced is sent again.
  Sync().IgnoreError();
  close(descriptor_);
  folder_->Unclaim(entry_.get());
}

absl::Status UploadWriter::Write(std::int64_t offset, absl::string_view piece) {
  if (offset != position_) return WrongOffset(offset, position_);
  if (piece.empty() || piece.size() > kMaxPiece) {
    return jobs::InvalidField("data", absl::StrCat("The piece has ", piece.size(),
                                                   " bytes; it must have 1 to ", kMaxPiece, "."));
  }
  const auto bytes = static_cast<std::int64_t>(piece.size());
  if (bytes > size_ - position_) {
    return jobs::InvalidField(
        "data", absl::StrCat("The piece ends at byte ", position_ + bytes, ", but ", size_,
                             " bytes were announced; what is sent must not grow meanwhile."));
  }
  if (!models::WriteAll(descriptor_, piece)) return FileError("writing", folder_->PathOf(id_));
  UploadFolder::Digest& digest = *entry_->digest;
  if (digest.bytes == position_) {
    digest.sha256.Update(piece.data(), piece.size());
    digest.bytes += bytes;
  }
  position_ += bytes;
  if (position_ - durable_ >= kUnsynced) return Sync();
  if (position_ - begun_ >= kBegun) BeginSync();
  return absl::OkStatus();
}

// A hint: where it fails, the sync has more to do.
void UploadWriter::BeginSync() {
  sync_file_range(descriptor_, begun_, position_ - begun_, SYNC_FILE_RANGE_WRITE);
  begun_ = position_;
}

absl::Status UploadWriter::Sync() {
  if (position_ == durable_) return absl::OkStatus();
  if (fdatasync(descriptor_) != 0) return FileError("syncing", folder_->PathOf(id_));
  durable_ = begun_ = position_;
  MutexLock lock(&folder_->mutex_);
  entry_->upload.set_received_bytes(durable_);
  entry_->used = folder_->clock_->Elapsed();
  return absl::OkStatus();
}

absl::StatusOr<v1::Upload> UploadWriter::Finish() {
  absl::Status status = Sync();
  if (status.ok() && durable_ == size_ && entry_->digest != nullptr) {
    status = folder_->Verify(id_, entry_.get(), descriptor_);
    if (!status.ok()) position_ = durable_ = 0;
  }
  if (!status.ok()) return status;
  MutexLock lock(&folder_->mutex_);
  return entry_->upload;
}

}  // namespace atelier::uploads
