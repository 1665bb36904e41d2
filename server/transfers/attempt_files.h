// The files that attempts read and leave, for workers that do not see the data directory: listed,
// read and written piece by piece. Every piece stands for itself, so a transfer that was cut off,
// by whatever end, goes on where it was; nothing is kept of it but the bytes on the disk.
//
// What an attempt leaves is written to `<name>.part` in its folder. When all of it is there it is
// compared with its SHA-256, synced and renamed, and only then said to be stored.
#ifndef ATELIER_SERVER_TRANSFERS_ATTEMPT_FILES_H_
#define ATELIER_SERVER_TRANSFERS_ATTEMPT_FILES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/stop_signal.h"
#include "models/files/regular_file.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"
#include "server/transfers/known_files.h"
#include "server/transfers/pacer.h"

namespace atelier::transfers {

// Thread-safe; calls wait for the disk, and ListFiles for the whole of a file that it sees for the
// first time. Whose assignment it is, the caller has checked. Errors as the methods of
// WorkerService say: UNAVAILABLE for all that may be otherwise in a moment, a full disk too, and
// INTERNAL where the disk fails.
class AttemptFiles {
 public:
  // Bytes a piece may have.
  static constexpr std::size_t kMaxPiece = std::size_t{1} << 20;

  struct Options {
    // Bytes per second of all workers together, to and fro; 0 for no limit.
    std::int64_t rate = 0;
  };

  // The clock must live as long.
  AttemptFiles(const Options& options, const Clock* clock) : pacer_(options.rate, clock) {}

  absl::StatusOr<worker::v1::ListFilesResponse> List(const worker::v1::Assignment& assignment,
                                                     worker::v1::FileKind kind);
  absl::StatusOr<worker::v1::ReadFileResponse> Read(const worker::v1::Assignment& assignment,
                                                    const worker::v1::ReadFileRequest& request);
  absl::StatusOr<worker::v1::WriteFileResponse> Write(const worker::v1::Assignment& assignment,
                                                      const worker::v1::WriteFileRequest& request);

  // Removes what was begun in the folder of an attempt that has ended meanwhile.
  static void RemoveParts(const worker::v1::Assignment& assignment);

  // The server stops: what reads a whole file ends soon.
  void Stop() { stop_.Suspend(); }

 private:
  // A data set's folder as a file of the cache's.
  struct Packed {
    // Open: the cache may remove it while workers are reading it.
    std::shared_ptr<const models::RegularFile> file;
    std::string sha256;
  };

  // Makes it or finds it made.
  absl::StatusOr<Packed> Pack(const worker::v1::Assignment& assignment);
  // What ReadFile asks for. FAILED_PRECONDITION if that is another file by now.
  absl::StatusOr<std::shared_ptr<const models::RegularFile>> Open(
      const worker::v1::Assignment& assignment, const worker::v1::ReadFileRequest& request);
  // Appends to a log.
  absl::StatusOr<worker::v1::WriteFileResponse> Append(const std::string& path, std::int64_t most,
                                                       const worker::v1::WriteFileRequest& request);
  // Adds a piece to a file's part; answers with what is there then.
  absl::StatusOr<std::int64_t> AddPiece(const std::string& part,
                                        const worker::v1::WriteFileRequest& request);
  // Puts a part that is complete in its place.
  absl::Status Store(const std::string& path, const worker::v1::WriteFileRequest& request);
  // Makes it durable that the file lies there, and removes what it replaces.
  static absl::Status Settle(const std::string& path, worker::v1::FileKind kind);

  Pacer pacer_;
  KnownFiles known_;
  models::StopSignal stop_;
  Mutex mutex_;
  // By the data set's folder. As many as the server has names for.
  std::map<std::string, Packed> packed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::transfers

#endif  // ATELIER_SERVER_TRANSFERS_ATTEMPT_FILES_H_
