// Why something in models/ failed, in words that programs can act on. Every error that models/
// returns is an absl::Status whose message is a sentence for people; the reason rides along as a
// payload, so that a caller need not guess from codes or texts. Thread-safe: free functions.
#ifndef ATELIER_MODELS_BASE_FAILURE_H_
#define ATELIER_MODELS_BASE_FAILURE_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace atelier::models {

// The class of a failure. Repeating the same work helps with the last alone.
enum class FailureReason {
  kInternal,     // A bug, a full disk, a file of ours that cannot be read or written.
  kBadData,      // The data set is missing, damaged or does not fit what was asked.
  kDiverged,     // The training loss became NaN or infinite.
  kOutOfMemory,  // An allocation failed.
  kInvalidSpec,  // The options contradict each other, the data set or this machine.
  kCancelled,    // The caller asked to stop.
  kRankLost,     // Another process of the same training has ended or is silent.
};

// The reason's stable name: INTERNAL, BAD_DATA, DIVERGED, OUT_OF_MEMORY, INVALID_SPEC, CANCELLED,
// RANK_LOST.
absl::string_view FailureReasonName(FailureReason reason);

// A status of that reason. Its code is kInternal, kDataLoss, kOutOfRange, kResourceExhausted,
// kInvalidArgument, kCancelled or kAborted, in the order of the enumeration.
absl::Status Failure(FailureReason reason, absl::string_view message);

// The reason a status carries; kInternal if it carries none. `status` must not be OK.
FailureReason ReasonOf(const absl::Status& status);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_FAILURE_H_
