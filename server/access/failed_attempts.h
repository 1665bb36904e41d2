// How often wrong tokens came from where, in bounded memory, and how long their answers wait for
// it.
#ifndef ATELIER_SERVER_ACCESS_FAILED_ATTEMPTS_H_
#define ATELIER_SERVER_ACCESS_FAILED_ATTEMPTS_H_

#include <cstddef>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/base/clock.h"
#include "server/base/mutex.h"

namespace atelier::access {

// Thread-safe. Never looked at for a token that is right, so nobody is kept out by a neighbour.
class FailedAttempts {
 public:
  struct Options {
    int free = 3;                                 // Attempts that are answered at once.
    absl::Duration delay = absl::Seconds(1);      // What each further one waits for its answer.
    absl::Duration forgotten = absl::Minutes(1);  // After as long without an attempt.
    std::size_t max_addresses = 1000;             // Those beyond wait as if known.
  };

  struct Verdict {
    absl::Duration delay;
    bool worth_a_line = false;  // In the log: the first, and then ever fewer.
    int attempts = 0;           // From this address, lately; 0 if it is not known.
  };

  // `clock` must outlive it.
  FailedAttempts(Options options, const Clock* clock) : options_(options), clock_(clock) {}

  // Notes an attempt from `peer`, as gRPC names it.
  Verdict Note(absl::string_view peer);

  // The part of gRPC's name for a peer that is the same for all its connections: without the port,
  // of an IPv6 address the first 64 bits.
  static std::string AddressOf(absl::string_view peer);

 private:
  struct Entry {
    int attempts = 0;
    absl::Duration last;
  };

  const Options options_;
  const Clock* const clock_;
  Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> entries_ ABSL_GUARDED_BY(mutex_);  // By address.
};

}  // namespace atelier::access

#endif  // ATELIER_SERVER_ACCESS_FAILED_ATTEMPTS_H_
