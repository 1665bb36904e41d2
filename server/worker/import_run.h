// One attempt at an import: has the upload read and made a packed data set, and tells the progress.
#ifndef ATELIER_SERVER_WORKER_IMPORT_RUN_H_
#define ATELIER_SERVER_WORKER_IMPORT_RUN_H_

#include <functional>

#include "absl/status/statusor.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/stop_signal.h"

namespace atelier::worker {

// Answers with the attempt's last event, an import_outcome. Errors as models::ImportDataset;
// CANCELLED once `stop` asks to end. `report` takes the events before the last, in order.
absl::StatusOr<v1::WorkerEvent> RunImport(const v1::Assignment& assignment,
                                          const models::StopSignal* stop,
                                          const std::function<void(v1::WorkerEvent)>& report);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_IMPORT_RUN_H_
