#include "server/transfers/pacer.h"

#include <algorithm>

namespace atelier::transfers {
namespace {

// Senders that wait as they are told are never this far ahead, unless there are very many.
constexpr absl::Duration kMostAhead = absl::Seconds(30);

}  // namespace

absl::StatusOr<absl::Duration> Pacer::Take(std::int64_t bytes) {
  if (rate_ == 0) return absl::ZeroDuration();
  const absl::Duration now = clock_->Elapsed();
  MutexLock lock(&mutex_);
  if (due_ - now > kMostAhead) {
    return absl::UnavailableError("more is being transferred than --transfer_rate allows; wait");
  }
  due_ =
      std::max(due_, now) + absl::Seconds(static_cast<double>(bytes) / static_cast<double>(rate_));
  return due_ - now;
}

}  // namespace atelier::transfers
