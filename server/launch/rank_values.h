// How the processes of an attempt find each other: each leaves values for the others, which are
// kept while they look for them. Thread-safe.
#ifndef ATELIER_SERVER_LAUNCH_RANK_VALUES_H_
#define ATELIER_SERVER_LAUNCH_RANK_VALUES_H_

#include <cstddef>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/base/mutex.h"

namespace atelier::launch {

class RankValues {
 public:
  // Bytes of a key and of a value, values of an attempt, and attempts: 64 MiB in all.
  static constexpr std::size_t kMaxKey = 64;
  static constexpr std::size_t kMaxValue = std::size_t{16} << 10;
  static constexpr std::size_t kMaxValues = 64;
  static constexpr std::size_t kMaxAttempts = 64;

  // `attempt` is any text that names one. With one attempt more than there may be, the values of
  // the one that was used last longest ago are forgotten. INVALID_ARGUMENT for a key or value of
  // another size, RESOURCE_EXHAUSTED for one value too many.
  absl::Status Set(absl::string_view attempt, absl::string_view key, absl::string_view value);

  // Nothing if there is none, or not yet.
  std::optional<std::string> Get(absl::string_view attempt, absl::string_view key);

 private:
  struct Attempt {
    std::string name;
    std::map<std::string, std::string, std::less<>> values;
  };

  // The attempt, as the one used last; null if it has no values.
  Attempt* Use(absl::string_view name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Mutex mutex_;
  std::list<Attempt> attempts_ ABSL_GUARDED_BY(mutex_);  // Used last first.
};

}  // namespace atelier::launch

#endif  // ATELIER_SERVER_LAUNCH_RANK_VALUES_H_
