// What a worker's events mean for its job's record. The events that end an attempt are not here but
// in attempt.h.
#ifndef ATELIER_SERVER_JOBS_WORKER_EVENTS_H_
#define ATELIER_SERVER_JOBS_WORKER_EVENTS_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "atelier/v1/job.pb.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "server/jobs/job_change.h"
#include "server/jobs/job_store.h"

namespace atelier::jobs {

// True if the event shows progress that a checkpoint does not hold: a step, epoch or checkpoint
// after it, or an early stop decided at its last epoch's end or later, since the attempt that goes
// on from there decides it again.
bool LiesBeyond(const v1::JobEvent& event, const worker::v1::Resumed& checkpoint);

// The number of the first stored event of a job that is not withdrawn and lies beyond a checkpoint.
absl::StatusOr<std::optional<std::int64_t>> FindFirstBeyond(JobStore* store, absl::string_view job,
                                                            const worker::v1::Resumed& checkpoint);

// The checkpoint from which the progress in these events goes on: that of the first Resumed, or an
// empty one if progress comes before any. Nothing if there is no progress in them.
std::optional<worker::v1::Resumed> StartingPoint(absl::Span<const worker::v1::WorkerEvent> events);

// Puts one event into the change. An attempt whose progress begins without Resumed began afresh:
// everything stored before is withdrawn. An epoch that is on record already is left out.
// `first_beyond` is what FindFirstBeyond says of the attempt's starting point; looked at only while
// the attempt has not shown where it starts. INVALID_ARGUMENT (PROTOCOL_VIOLATION) for an event
// that cannot be.
absl::Status ApplyWorkerEvent(const worker::v1::WorkerEvent& event,
                              std::optional<std::int64_t> first_beyond, JobChange* change);

// The error of a worker that breaks the protocol.
absl::Status ProtocolViolation(absl::string_view what);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_WORKER_EVENTS_H_
