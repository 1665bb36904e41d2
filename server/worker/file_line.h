// A worker's calls beside its session: a worker that does not see the server's data directory reads
// and writes files by them, the processes of one attempt find each other. Each is repeated until
// the server has answered it.
#ifndef ATELIER_SERVER_WORKER_FILE_LINE_H_
#define ATELIER_SERVER_WORKER_FILE_LINE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atelier/worker/v1/worker_service.grpc.pb.h"

namespace atelier::worker {

// Thread-safe.
class FileLine {
 public:
  // Bytes of a piece.
  static constexpr std::size_t kPiece = std::size_t{1} << 20;

  struct Options {
    std::shared_ptr<grpc::Channel> channel;  // To the server.
    v1::Hello hello;                         // Who asks.
    // Whether to end; asked ten times a second.
    std::function<bool()> given_up;
    // An answer to one call; beyond, it is repeated.
    absl::Duration patience = absl::Seconds(60);
    // Between two tries of what fails; pauses double up to it.
    absl::Duration longest_pause = absl::Seconds(10);
  };

  explicit FileLine(Options options);

  // Each answers with the server's word, or CANCELLED if it was given up. A pause that the server
  // asks for is over when they return. INTERNAL, which a connection that breaks may look like, too,
  // is tried again for about two minutes.
  absl::StatusOr<v1::ListFilesResponse> List(v1::FileKind kind);
  absl::StatusOr<v1::ReadFileResponse> Read(v1::ReadFileRequest request);
  absl::StatusOr<v1::WriteFileResponse> Write(v1::WriteFileRequest request);
  // The same for what ranks ask, which is no file.
  absl::StatusOr<v1::Assignment> Join();
  absl::StatusOr<v1::ShareValuesResponse> ShareValues(v1::ShareValuesRequest request);

  // Fetches a file to `path`, from where what lies there ends, and checks its SHA-256.
  // FAILED_PRECONDITION if the server's file is another one by now, DATA_LOSS if what came is not
  // the file, UNKNOWN where this machine's disk fails.
  absl::Status Fetch(const v1::AttemptFile& name, const v1::ListedFile& file,
                     const std::string& path);

  // Sends the bytes of an open file from its beginning, until the server has stored them durably.
  // UNKNOWN where this machine's disk fails.
  absl::Status Send(const v1::AttemptFile& name, int descriptor);

  // Waits after the first, second, … failure (0, 1, …) of a series.
  void PauseAfter(int failures) const;

  bool given_up() const { return options_.given_up(); }
  // Bytes of pieces.
  std::int64_t sent_bytes() const { return sent_bytes_; }
  std::int64_t received_bytes() const { return received_bytes_; }

 private:
  template <typename Request, typename Response>
  using Method = void (v1::WorkerService::Stub::async::*)(grpc::ClientContext*, const Request*,
                                                          Response*,
                                                          std::function<void(grpc::Status)>);

  template <typename Request, typename Response>
  absl::StatusOr<Response> Repeat(const Request& request, Method<Request, Response> method);
  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(const Request& request, Method<Request, Response> method);
  void Pause(absl::Duration duration) const;
  absl::Status FetchPieces(const v1::AttemptFile& name, const v1::ListedFile& file,
                           const std::string& path);
  absl::Status SendPieces(v1::WriteFileRequest* request, int descriptor);

  const Options options_;
  const std::unique_ptr<v1::WorkerService::Stub> stub_;
  std::atomic<std::int64_t> sent_bytes_{0};
  std::atomic<std::int64_t> received_bytes_{0};
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_FILE_LINE_H_
