// One attempt at an evaluation of a model or a check of a data set. Nothing is written; what was
// found is in the last event, a scoring_outcome. Thread-safe: free functions.
#ifndef ATELIER_SERVER_WORKER_SCORING_RUN_H_
#define ATELIER_SERVER_WORKER_SCORING_RUN_H_

#include <functional>

#include "absl/status/statusor.h"
#include "atelier/worker/v1/worker_service.pb.h"
#include "models/base/stop_signal.h"

namespace atelier::worker {

// Scores the assignment's model on the images of its data set's split. kBadData if they do not fit;
// the errors of models::Evaluate; kCancelled once `stop` asks to end. `report` takes the events
// before the last, in order.
absl::StatusOr<v1::WorkerEvent> RunEvaluation(const v1::Assignment& assignment,
                                              const models::StopSignal* stop,
                                              const std::function<void(v1::WorkerEvent)>& report);

// Looks through the assignment's data set and checks the labels of its split. The errors of
// models::CheckLabels; the rest as above.
absl::StatusOr<v1::WorkerEvent> RunCheck(const v1::Assignment& assignment,
                                         const models::StopSignal* stop,
                                         const std::function<void(v1::WorkerEvent)>& report);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_SCORING_RUN_H_
