// The last event of an attempt that failed. Thread-safe: pure functions.
#ifndef ATELIER_SERVER_WORKER_FAILURE_EVENT_H_
#define ATELIER_SERVER_WORKER_FAILURE_EVENT_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/failure.h"

namespace atelier::worker {

// A status' words as a sentence.
std::string Sentence(absl::string_view message);

// By its FailureReason, with its words as a sentence.
v1::Failure FailureOf(const absl::Status& status);

v1::WorkerEvent FailureEvent(models::FailureReason reason, const std::string& sentence);
// By FailureOf; of one that ran out of memory as below.
v1::WorkerEvent FailureEvent(const absl::Status& status, const v1::Assignment& assignment);

// What the attempt may use, in bytes; 0 or less if there is no limit.
std::int64_t MemoryLimitOf(const v1::Assignment& assignment);

// Of an attempt that its memory limit ended; `what` is a sentence's end, such as "needed 2.1 GiB".
v1::WorkerEvent OutOfMemoryEvent(const v1::Assignment& assignment, const std::string& what);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_FAILURE_EVENT_H_
