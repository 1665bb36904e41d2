// The SHA-256 of files that are asked for again and again, reckoned once for as long as they do not
// change, and which files somebody is at work with.
#ifndef ATELIER_SERVER_TRANSFERS_KNOWN_FILES_H_
#define ATELIER_SERVER_TRANSFERS_KNOWN_FILES_H_

#include <cstddef>
#include <list>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/base/stop_signal.h"
#include "models/files/file_identity.h"
#include "server/base/mutex.h"

namespace atelier::transfers {

// Thread-safe.
class KnownFiles {
 public:
  // Files that are remembered; beyond, the least recently used is forgotten.
  static constexpr std::size_t kMost = 256;

  // While it lives, nobody else is at work with the path.
  class Claim {
   public:
    Claim(Claim&& other) noexcept;
    Claim& operator=(Claim&&) = delete;
    ~Claim();

   private:
    friend class KnownFiles;
    Claim(KnownFiles* files, std::string path) : files_(files), path_(std::move(path)) {}

    KnownFiles* files_;
    std::string path_;
  };

  // ABORTED if another claim is held: ask again.
  absl::StatusOr<Claim> Take(const std::string& path);

  // As models::Sha256OfFile; ABORTED while another thread reads the same file, or if it changed
  // meanwhile.
  absl::StatusOr<std::string> Sha256(const std::string& path, const models::StopSignal* stop);

  // What is known: the file at `path`, as it is now, has this SHA-256.
  void Remember(const std::string& path, const std::string& sha256);

 private:
  struct Known {
    std::string path;
    models::FileIdentity identity;
    std::string sha256;
  };

  // The SHA-256 of the file as it is now; empty if that is not known.
  std::string Recall(const std::string& path);

  Mutex mutex_;
  std::list<Known> known_ ABSL_GUARDED_BY(mutex_);  // Most recently used first.
  std::set<std::string> claimed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::transfers

#endif  // ATELIER_SERVER_TRANSFERS_KNOWN_FILES_H_
