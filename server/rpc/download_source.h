// What DownloadModel sends: a version's archive as it lies on disk, or a file in it.
#ifndef ATELIER_SERVER_RPC_DOWNLOAD_SOURCE_H_
#define ATELIER_SERVER_RPC_DOWNLOAD_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "atelier/v1/model_service.pb.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/model_store.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/file_reader.h"
#include "server/rpc/stream_reactor.h"

namespace atelier::rpc {

class DownloadSource final : public StreamSource<v1::DownloadChunk> {
 public:
  // The stores must outlive the source. `format` is one that there is.
  DownloadSource(jobs::ModelReference reference, v1::ModelFormat format, jobs::ModelStore* models,
                 jobs::ArtifactStore* artifacts)
      : reference_(std::move(reference)), format_(format), models_(models), artifacts_(artifacts) {}

  // NOT_FOUND as ModelStore; UNAVAILABLE (VERSION_UNAVAILABLE) if the archive is missing or not
  // what was stored.
  absl::StatusOr<Batch<v1::DownloadChunk>> Produce() override;
  // Never called: a download never waits for more.
  bool Await(std::function<void()>) override { return false; }
  bool TakeBack() override { return false; }

 private:
  static constexpr std::size_t kChunk = 256 << 10;

  absl::Status Open();
  absl::Status OpenArchive(const v1::ModelVersion& version, const std::string& path);
  absl::Status OpenEntry(const v1::ModelVersion& version, const std::string& path);
  absl::StatusOr<std::string> Read();

  const jobs::ModelReference reference_;
  const v1::ModelFormat format_;
  jobs::ModelStore* const models_;
  jobs::ArtifactStore* const artifacts_;

  // One of the two, once opened.
  std::unique_ptr<FileReader> file_;
  std::string entry_;

  v1::DownloadChunk head_;  // What the first chunk says besides its data.
  std::int64_t offset_ = 0;
  bool open_ = false;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_DOWNLOAD_SOURCE_H_
