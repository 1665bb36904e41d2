// What a worker's process says by its end. The server reads it (WorkerCommand::EndOf).
#ifndef ATELIER_SERVER_WORKER_EXIT_CODE_H_
#define ATELIER_SERVER_WORKER_EXIT_CODE_H_

#include <optional>

#include "absl/status/status.h"

namespace atelier::worker {

enum ExitCode {
  // The attempt's last event is stored by the server, also of an attempt that failed; of a rank
  // beyond the first: it has done its share.
  kDelivered = 0,
  // Wrong flags, or no libatelier_torch.so.
  kUsage = 1,
  // Another process of the attempt was lost, so that another attempt has to try.
  kRankLost = 2,
  // The server does not want the attempt.
  kNotWanted = 3,
  // The server could not be reached for the lease.
  kServerLost = 4,
  // Over its memory limit and unable to say so.
  kOutOfMemory = 5,
  // This machine's disk failed, so that another one has to try.
  kDiskFailed = 6,
  // The server could not give the job's files, so that another attempt has to.
  kNotFetched = 7
};

// How a process ends whose files could not be made ready, as Workplace::Prepare says it, and that
// is one of `ranks`; nothing where the attempt's last event says why.
inline std::optional<ExitCode> EndUnprepared(const absl::Status& ready, int ranks) {
  if (absl::IsUnknown(ready)) return kDiskFailed;
  // It has to begin with what earlier attempts left, or not at all.
  if (absl::IsUnavailable(ready) || absl::IsInternal(ready)) return kNotFetched;
  // Of several none says alone that it was suspended.
  if (absl::IsCancelled(ready) && ranks > 1) return kRankLost;
  return std::nullopt;
}

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_EXIT_CODE_H_
