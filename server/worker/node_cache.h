// Data sets on a machine that does not see the server's data directory: files named by their
// SHA-256, shared by all workers there, within a limit. The folder has
//
//   <sha256>.dataset        a data set, mapped by workers
//   <sha256>.<size>.part    one that is being fetched, or whose fetching was cut off
//   <sha256>.lock           held shared by who uses it, exclusively by who fetches or removes it
//   lock                    held while room is made and taken
//
// Nothing is synced: what a crash of the machine leaves damaged is told by its SHA-256 before it is
// used, and fetched again.
#ifndef ATELIER_SERVER_WORKER_NODE_CACHE_H_
#define ATELIER_SERVER_WORKER_NODE_CACHE_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "models/base/stop_signal.h"
#include "server/worker/lock_file.h"

namespace atelier::worker {

// Used by one thread of each process.
class NodeCache {
 public:
  struct Options {
    std::string dir;  // Made if it is not there.
    // Bytes of all data sets, with those that are being fetched at their full size.
    std::int64_t max_bytes = 0;
    const models::StopSignal* stop = nullptr;  // Asks to end; must live as long.
    absl::Duration look = absl::Milliseconds(100);
  };

  // A data set that is not removed while this lives.
  struct Held {
    std::string path;
    LockFile lock;
  };

  // Brings a file to a path, at which there may be its beginning.
  using Fetch = absl::FunctionRef<absl::Status(const std::string& path)>;

  explicit NodeCache(Options options) : options_(std::move(options)) {}

  // The data set of that SHA-256, whose bytes were compared with it. If it is not there, this
  // process or another one fetches it, while the others wait; least recently used ones that nobody
  // uses are removed for it, and where those do not suffice, it waits. FAILED_PRECONDITION if it is
  // larger than the cache, CANCELLED if it was given up, UNKNOWN where the disk fails, what `fetch`
  // fails with, and errors of MakeOwnFolder.
  absl::StatusOr<Held> Get(const std::string& sha256, std::int64_t size, Fetch fetch) const;

 private:
  std::string PathOf(const std::string& sha256, const std::string& suffix) const;
  bool given_up() const { return options_.stop->Get() != models::StopRequest::kNone; }
  // Waits for whoever fetches the data set.
  absl::StatusOr<LockFile> LockShared(const std::string& sha256) const;
  // Waits for all who use it, as long as the file is the one of that inode (0: none); nothing if
  // it is another one by then.
  absl::StatusOr<std::optional<LockFile>> LockUnchanged(const std::string& sha256,
                                                        ino_t inode) const;
  // With the exclusive lock: brings it to its place.
  absl::Status Bring(const std::string& sha256, std::int64_t size, Fetch fetch) const;
  // Makes room for a data set and takes it; false if what is used leaves too little.
  absl::StatusOr<bool> TakeRoom(const std::string& sha256, std::int64_t size) const;

  const Options options_;
};

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_NODE_CACHE_H_
