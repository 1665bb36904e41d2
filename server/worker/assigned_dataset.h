// What every kind of job that reads a data set begins with.
#ifndef ATELIER_SERVER_WORKER_ASSIGNED_DATASET_H_
#define ATELIER_SERVER_WORKER_ASSIGNED_DATASET_H_

#include <memory>

#include "absl/status/statusor.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/stop_signal.h"
#include "models/data/dataset.h"

namespace atelier::worker {

// The data set of an assignment. FailureReason kBadData; kCancelled if `stop` asks to end.
absl::StatusOr<std::shared_ptr<const models::Dataset>> LoadDataset(const v1::Assignment& assignment,
                                                                   const models::StopSignal* stop);

// The event of a new phase, which the log tells, too.
v1::WorkerEvent PhaseEvent(v1::Phase phase);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_ASSIGNED_DATASET_H_
