#include "server/rpc/download_source.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/archive/model_archive.h"
#include "models/files/sha256.h"
#include "server/jobs/error.h"

namespace atelier::rpc {
namespace {

// While a file is brought back.
constexpr std::chrono::milliseconds kLookAgain(100);

absl::Status Unavailable(const v1::ModelVersion& version, absl::string_view why) {
  return jobs::Error(absl::StatusCode::kUnavailable, "VERSION_UNAVAILABLE",
                     absl::StrCat(version.name(), " cannot be read: ", why));
}

absl::Status BecameShorter() {
  return jobs::Error(absl::StatusCode::kUnavailable, "DOWNLOAD_UNAVAILABLE",
                     "The file became shorter while it was sent.");
}

}  // namespace

absl::StatusOr<Batch<v1::DownloadChunk>> DownloadSource::Produce() {
  auto chunk = std::make_shared<v1::DownloadChunk>();
  if (!open_) {
    const auto ready = Ready();
    if (!ready.ok()) return ready.status();
    if (!*ready) return Batch<v1::DownloadChunk>();
    auto opened = Open();
    if (!opened.ok()) return opened.status();
    opened_ = *std::move(opened);
    open_ = true;
    *chunk = opened_.head;
  }
  auto data = Read();
  if (!data.ok()) return data.status();
  offset_ += static_cast<std::int64_t>(data->size());
  const bool ended = offset_ >= opened_.head.total_bytes();
  if (data->empty() && !ended) return BecameShorter();
  chunk->set_data(*std::move(data));
  Batch<v1::DownloadChunk> batch;
  batch.messages.push_back(std::move(chunk));
  batch.ended = ended;
  return batch;
}

bool DownloadSource::Await(std::function<void()> wake) {
  // A new alarm each time: the last one's callback may still be returning.
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(std::chrono::system_clock::now() + kLookAgain,
              [wake = std::move(wake)](bool) { wake(); });
  return true;
}

bool DownloadSource::TakeBack() {
  alarm_->Cancel();
  return false;
}

absl::StatusOr<std::string> DownloadSource::Read() {
  const auto size =
      static_cast<std::size_t>(std::min(kChunk, opened_.head.total_bytes() - offset_));
  if (opened_.file == nullptr) {
    return opened_.entry->bytes.substr(static_cast<std::size_t>(offset_), size);
  }
  return opened_.file->Read(offset_, size);
}

absl::StatusOr<bool> VersionDownload::Ready() {
  const auto version = models_->ResolveVersion(reference_.model, reference_.version);
  if (!version.ok()) return version.status();
  const auto there =
      artifacts_->Bring(artifacts_->ArchivePath(reference_.model, version->version()));
  if (!there.ok()) return Unavailable(*version, there.status().message());
  return there;
}

absl::StatusOr<DownloadSource::Opened> VersionDownload::Open() {
  const auto version = models_->ResolveVersion(reference_.model, reference_.version);
  if (!version.ok()) return version.status();
  const std::string path = artifacts_->ArchivePath(reference_.model, version->version());
  const bool entry = format_ == v1::MODEL_FORMAT_TORCHSCRIPT || format_ == v1::MODEL_FORMAT_ONNX;
  auto opened = entry ? OpenEntry(*version, path) : OpenArchive(*version, path);
  if (opened.ok()) opened->head.set_model_version(version->name());
  return opened;
}

absl::StatusOr<DownloadSource::Opened> VersionDownload::OpenArchive(const v1::ModelVersion& version,
                                                                    const std::string& path) {
  auto file = FileReader::Open(path);
  if (!file.ok()) return Unavailable(version, file.status().message());
  const auto size = (*file)->Size();
  if (!size.ok()) return Unavailable(version, size.status().message());
  if (*size != version.size_bytes()) {
    return Unavailable(version, absl::StrCat("its archive has ", *size, " bytes, stored were ",
                                             version.size_bytes(), "."));
  }
  Opened opened;
  opened.file = *std::move(file);
  opened.head.set_total_bytes(*size);
  opened.head.set_sha256(version.sha256());
  return opened;
}

absl::StatusOr<DownloadSource::Opened> VersionDownload::OpenEntry(const v1::ModelVersion& version,
                                                                  const std::string& path) const {
  // Archives never change: what they are told apart by tells their files apart as well.
  const std::string key = absl::StrCat(version.sha256(), " ", format_, " ", path);
  auto entry = entries_->Get(key, [&]() -> absl::StatusOr<std::string> {
    auto archive = models::ReadModelArchive(path);
    if (!archive.ok()) return Unavailable(version, archive.status().message());
    if (format_ != v1::MODEL_FORMAT_ONNX) return std::move(archive->model_pt);
    auto onnx = models::OnnxOf(*archive);
    if (!onnx.ok()) return Unavailable(version, onnx.status().message());
    return onnx;
  });
  if (!entry.ok()) return entry.status();
  Opened opened;
  opened.entry = *std::move(entry);
  opened.head.set_total_bytes(static_cast<std::int64_t>(opened.entry->bytes.size()));
  opened.head.set_sha256(opened.entry->sha256);
  return opened;
}

absl::StatusOr<DownloadSource::Opened> GrowingFileDownload::Open() {
  const auto found = find_();
  if (!found.ok()) return found.status();
  auto file = FileReader::Open(found->path);
  if (!file.ok()) return file.status();
  constexpr std::int64_t kPiece = 1 << 20;
  models::Sha256 sha256;
  for (std::int64_t at = 0; at < found->bytes;) {
    const auto size = static_cast<std::size_t>(std::min(kPiece, found->bytes - at));
    const auto piece = (*file)->Read(at, size);
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return BecameShorter();
    sha256.Update(piece->data(), piece->size());
    at += static_cast<std::int64_t>(piece->size());
  }
  Opened opened;
  opened.file = *std::move(file);
  opened.head.set_total_bytes(found->bytes);
  opened.head.set_sha256(sha256.Finish());
  opened.head.set_file_name(std::filesystem::path(found->path).filename().string());
  return opened;
}

}  // namespace atelier::rpc
