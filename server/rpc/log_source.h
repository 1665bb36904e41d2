// What StreamLogs sends: the log file of one attempt's worker, and, for who follows, what is
// appended to it until the attempt has ended.
#ifndef ATELIER_SERVER_RPC_LOG_SOURCE_H_
#define ATELIER_SERVER_RPC_LOG_SOURCE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "atelier/v1/training_service.pb.h"
#include "grpcpp/alarm.h"
#include "server/jobs/artifact_store.h"
#include "server/rpc/file_reader.h"
#include "server/rpc/stream_reactor.h"

namespace atelier::rpc {

class LogSource final : public StreamSource<v1::LogChunk> {
 public:
  struct Options {
    std::string job;      // Its id.
    int attempt = 0;      // From 1; 0 for the newest, or the first one where none has begun.
    bool follow = false;  // Also what will be written.
    // How often a followed file is looked at. A timer and not inotify, because the worker may sit
    // on another machine, whose writes to a shared folder notify nobody.
    absl::Duration interval = absl::Milliseconds(200);
  };
  // Answers with the job as it is now.
  using GetJob = std::function<absl::StatusOr<v1::TrainingJob>(const std::string& job)>;

  // `artifacts` must outlive the source.
  LogSource(Options options, GetJob get_job, jobs::ArtifactStore* artifacts)
      : options_(std::move(options)), get_job_(std::move(get_job)), artifacts_(artifacts) {}

  // NOT_FOUND (JOB_NOT_FOUND, ATTEMPT_NOT_FOUND); FAILED_PRECONDITION (NO_LOG) if there is none and
  // none is followed.
  absl::StatusOr<Batch<v1::LogChunk>> Produce() override;
  bool Await(std::function<void()> wake) override;
  // Makes the wake-up come at once.
  bool TakeBack() override;
  // A chunk without text.
  std::shared_ptr<const v1::LogChunk> StillThere() override;

 private:
  static constexpr std::size_t kChunk = 64 << 10;
  static constexpr int kChunksAtOnce = 4;

  // Picks the attempt and opens its file, if they are there yet.
  absl::Status Open(const v1::TrainingJob& job);
  absl::Status ReadInto(Batch<v1::LogChunk>* batch);
  // True if nothing more will be written.
  bool HasEnded(const v1::TrainingJob& job) const;

  const Options options_;
  const GetJob get_job_;
  jobs::ArtifactStore* const artifacts_;

  int attempt_ = 0;      // 0 until it is known.
  bool coming_ = false;  // The file is brought back from where else it is kept.
  std::unique_ptr<FileReader> file_;
  std::int64_t offset_ = 0;
  std::unique_ptr<grpc::Alarm> alarm_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_LOG_SOURCE_H_
