#include "server/rpc/download_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "models/model_archive.h"
#include "models/sha256.h"
#include "server/jobs/error.h"

namespace atelier::rpc {
namespace {

absl::Status Unavailable(const v1::ModelVersion& version, absl::string_view why) {
  return jobs::Error(absl::StatusCode::kUnavailable, "VERSION_UNAVAILABLE",
                     absl::StrCat(version.name(), " cannot be read: ", why));
}

}  // namespace

absl::StatusOr<Batch<v1::DownloadChunk>> DownloadSource::Produce() {
  auto chunk = std::make_shared<v1::DownloadChunk>();
  if (!open_) {
    if (const absl::Status status = Open(); !status.ok()) return status;
    open_ = true;
    *chunk = head_;
  }
  auto data = Read();
  if (!data.ok()) return data.status();
  offset_ += static_cast<std::int64_t>(data->size());
  const bool ended = offset_ >= head_.total_bytes();
  if (data->empty() && !ended) {
    return jobs::Error(absl::StatusCode::kUnavailable, "VERSION_UNAVAILABLE",
                       absl::StrCat(head_.model_version(), " became shorter while it was sent."));
  }
  chunk->set_data(*std::move(data));
  Batch<v1::DownloadChunk> batch;
  batch.messages.push_back(std::move(chunk));
  batch.ended = ended;
  return batch;
}

absl::Status DownloadSource::Open() {
  const auto version = models_->ResolveVersion(reference_.model, reference_.version);
  if (!version.ok()) return version.status();
  head_.set_model_version(version->name());
  const std::string path = artifacts_->ArchivePath(reference_.model, version->version());
  const bool entry = format_ == v1::MODEL_FORMAT_TORCHSCRIPT || format_ == v1::MODEL_FORMAT_ONNX;
  return entry ? OpenEntry(*version, path) : OpenArchive(*version, path);
}

absl::Status DownloadSource::OpenArchive(const v1::ModelVersion& version, const std::string& path) {
  auto file = FileReader::Open(path);
  if (!file.ok()) return Unavailable(version, file.status().message());
  const auto size = (*file)->Size();
  if (!size.ok()) return Unavailable(version, size.status().message());
  if (*size != version.size_bytes()) {
    return Unavailable(version, absl::StrCat("its archive has ", *size, " bytes, stored were ",
                                             version.size_bytes(), "."));
  }
  head_.set_total_bytes(*size);
  head_.set_sha256(version.sha256());
  file_ = *std::move(file);
  return absl::OkStatus();
}

absl::Status DownloadSource::OpenEntry(const v1::ModelVersion& version, const std::string& path) {
  auto archive = models::ReadModelArchive(path);
  if (!archive.ok()) return Unavailable(version, archive.status().message());
  if (format_ == v1::MODEL_FORMAT_ONNX) {
    auto onnx = models::OnnxOf(*archive);
    if (!onnx.ok()) return Unavailable(version, onnx.status().message());
    entry_ = *std::move(onnx);
  } else {
    entry_ = std::move(archive->model_pt);
  }
  head_.set_total_bytes(static_cast<std::int64_t>(entry_.size()));
  head_.set_sha256(models::Sha256Of(entry_));
  return absl::OkStatus();
}

absl::StatusOr<std::string> DownloadSource::Read() {
  if (file_ == nullptr) return entry_.substr(static_cast<std::size_t>(offset_), kChunk);
  return file_->Read(offset_, kChunk);
}

}  // namespace atelier::rpc
