// What downloads send: a file, or bytes, in chunks, the first with size and SHA-256 of the whole.
#ifndef ATELIER_SERVER_RPC_DOWNLOAD_SOURCE_H_
#define ATELIER_SERVER_RPC_DOWNLOAD_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "atelier/v1/model_service.pb.h"
#include "grpcpp/alarm.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/model_store.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/archive_entries.h"
#include "server/rpc/file_reader.h"
#include "server/rpc/stream_reactor.h"

namespace atelier::rpc {

class DownloadSource : public StreamSource<v1::DownloadChunk> {
 public:
  // Errors of Open; UNAVAILABLE (DOWNLOAD_UNAVAILABLE) if a file became shorter meanwhile.
  absl::StatusOr<Batch<v1::DownloadChunk>> Produce() final;
  // While the file is brought back from where else it is kept.
  bool Await(std::function<void()> wake) final;
  // Makes the wake-up come at once.
  bool TakeBack() final;

 protected:
  // What is sent: `file`, or `entry` where that is null; and what the first chunk says besides its
  // data. Of a file no more is sent than head.total_bytes.
  struct Opened {
    std::unique_ptr<FileReader> file;
    std::shared_ptr<const ArchiveEntries::Entry> entry;
    v1::DownloadChunk head;
  };

 private:
  static constexpr std::int64_t kChunk = 256 << 10;

  // Whether Open can be called; it is asked again.
  virtual absl::StatusOr<bool> Ready() { return true; }
  // Called once, first.
  virtual absl::StatusOr<Opened> Open() = 0;
  absl::StatusOr<std::string> Read();

  Opened opened_;
  std::int64_t offset_ = 0;
  bool open_ = false;
  std::unique_ptr<grpc::Alarm> alarm_;
};

// A model version's archive as it lies on disk, or a file in it.
class VersionDownload final : public DownloadSource {
 public:
  // The stores and `entries` must outlive the source. `format` is one that there is.
  VersionDownload(jobs::ModelReference reference, v1::ModelFormat format, jobs::ModelStore* models,
                  jobs::ArtifactStore* artifacts, ArchiveEntries* entries)
      : reference_(std::move(reference)),
        format_(format),
        models_(models),
        artifacts_(artifacts),
        entries_(entries) {}

 private:
  absl::StatusOr<bool> Ready() override;
  // NOT_FOUND as ModelStore; UNAVAILABLE (VERSION_UNAVAILABLE) if the archive is missing or not
  // what was stored.
  absl::StatusOr<Opened> Open() override;
  static absl::StatusOr<Opened> OpenArchive(const v1::ModelVersion& version,
                                            const std::string& path);
  absl::StatusOr<Opened> OpenEntry(const v1::ModelVersion& version, const std::string& path) const;

  const jobs::ModelReference reference_;
  const v1::ModelFormat format_;
  jobs::ModelStore* const models_;
  jobs::ArtifactStore* const artifacts_;
  ArchiveEntries* const entries_;
};

// A file of the server's that only grows, as far as it is written when the download begins.
struct GrowingFile {
  std::string path;
  std::int64_t bytes = 0;
};

class GrowingFileDownload final : public DownloadSource {
 public:
  // `find` answers with the file; its errors are the download's.
  explicit GrowingFileDownload(std::function<absl::StatusOr<GrowingFile>()> find)
      : find_(std::move(find)) {}

 private:
  absl::StatusOr<Opened> Open() override;

  const std::function<absl::StatusOr<GrowingFile>()> find_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_DOWNLOAD_SOURCE_H_
