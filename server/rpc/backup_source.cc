#include "server/rpc/backup_source.h"

namespace atelier::rpc {

// On a thread of gRPC's, which must not wait for the disk.
BackupSource::~BackupSource() {
  // Where the queue is full it goes at once.
  if (backup_ != nullptr) static_cast<void>(tasks_->TryAdd([backup = std::move(backup_)] {}));
}

absl::StatusOr<Batch<v1::BackupChunk>> BackupSource::Produce() {
  if (backup_ == nullptr) {
    auto begun = begin_();
    if (!begun.ok()) return begun.status();
    backup_ = *std::move(begun);
  }
  auto piece = backup_->Next();
  if (!piece.ok()) return piece.status();
  auto chunk = std::make_shared<v1::BackupChunk>();
  chunk->set_data(std::move(piece->bytes));
  chunk->set_total_bytes(piece->total_bytes);
  chunk->set_sha256(std::move(piece->sha256));
  Batch<v1::BackupChunk> batch;
  batch.ended = !chunk->sha256().empty();
  batch.messages.push_back(std::move(chunk));
  return batch;
}

}  // namespace atelier::rpc
