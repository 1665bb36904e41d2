// Says who a caller is, by its token or certificate and the access file, which is read again when
// it changes.
#ifndef ATELIER_SERVER_ACCESS_GATEKEEPER_H_
#define ATELIER_SERVER_ACCESS_GATEKEEPER_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/access/access_file.h"
#include "server/access/access_observer.h"
#include "server/access/caller.h"
#include "server/access/failed_attempts.h"
#include "server/access/method_table.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"

namespace atelier::access {

// Thread-safe. Identify never waits for the disk.
class Gatekeeper {
 public:
  struct Options {
    // Path of the access file; empty: nobody is asked who they are, and everybody may do
    // everything.
    std::string file = {};
    // Callers show certificates that were verified.
    bool certificates = false;
    FailedAttempts::Options failures = {};
    std::function<void(const std::string&)> log = {};  // Told sentences; may be empty.
  };

  // What a call shows.
  struct Shown {
    // Of the header `authorization`; nothing if the call has none.
    std::optional<absl::string_view> authorization = {};
    bool several = false;               // The call has more than one such header.
    std::string certificate_name = {};  // Of the verified certificate; empty for none.
  };

  // INVALID_ARGUMENT, naming the file, the line and what is wrong, if the file cannot be used.
  // `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<Gatekeeper>> Open(Options options, const Clock* clock);
  Gatekeeper(const Gatekeeper&) = delete;
  Gatekeeper& operator=(const Gatekeeper&) = delete;

  // Who is told of refusals; null for nobody. Set before calls are answered.
  void SetObserver(AccessObserver* observer) { observer_ = observer; }

  // Whether callers have to show who they are.
  bool asks() const { return !options_.file.empty(); }
  bool certificates() const { return options_.certificates; }

  // Who calls. UNAUTHENTICATED (NO_CREDENTIALS, UNKNOWN_TOKEN, UNKNOWN_CERTIFICATE).
  absl::StatusOr<std::shared_ptr<const Caller>> Identify(const Shown& shown) const;

  // The limits of the caller of that name; none for a name that the file does not have.
  Limits LimitsOf(const std::string& name) const;

  // Whether a token's caller may read everything, for the metrics page.
  bool MayRead(const std::string& token) const;

  // Counts and logs that a call from `peer` is refused with `status`. Answers with how long the
  // caller has to wait for that, which is not zero for one that guesses tokens.
  absl::Duration NoteRefusal(const absl::Status& status, absl::string_view path,
                             absl::string_view caller, const std::string& peer);

  // Reads the file again if it has changed; one that cannot be used changes nothing and is logged.
  // Answers with how long until it has to be called again. One thread only.
  absl::Duration Tick();

 private:
  struct Known {
    std::string sha256;  // Of a token.
    std::shared_ptr<const Caller> caller;
  };
  // What the file says. Constant once published.
  struct Callers {
    absl::flat_hash_map<std::string, Known> tokens;                                // By id.
    absl::flat_hash_map<std::string, std::shared_ptr<const Caller>> certificates;  // By name.
    absl::flat_hash_map<std::string, Limits> limits;  // By the caller's name.
  };

  Gatekeeper(Options options, const Clock* clock);
  absl::Status Read();
  std::shared_ptr<const Callers> MakeCallers(const std::vector<Credential>& credentials,
                                             const std::map<std::string, Limits>& limits);
  // That of a caller whose calls are counted; the same however often the file is read.
  std::shared_ptr<CallerActivity> ActivityOf(const Credential& credential, const Limits& limits);
  // The caller whose token a header has; null if there is none.
  static std::shared_ptr<const Caller> FindToken(const Callers& known,
                                                 absl::string_view authorization);
  std::shared_ptr<const Callers> callers() const;
  void Log(const std::string& sentence) const;

  const Options options_;
  std::atomic<AccessObserver*> observer_ = nullptr;
  FailedAttempts failures_;

  // Used by the thread that ticks.
  std::string stamp_;      // By which a change is noticed.
  std::string complaint_;  // The last that was logged.
  std::map<std::string, std::shared_ptr<CallerActivity>> activities_;  // By name.

  mutable Mutex mutex_;
  std::shared_ptr<const Callers> callers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace atelier::access

#endif  // ATELIER_SERVER_ACCESS_GATEKEEPER_H_
