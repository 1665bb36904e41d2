// The last event of an attempt that has a model: what was measured and where the archive is.
// Thread-safe: a pure function.
#ifndef ATELIER_SERVER_WORKER_OUTCOME_EVENT_H_
#define ATELIER_SERVER_WORKER_OUTCOME_EVENT_H_

#include <string>

#include "atelier/worker/v1/worker_service.pb.h"
#include "models/archive/model_archive.h"
#include "models/data/dataset.h"

namespace atelier::worker {

// Without a failure. `archive_name` is relative to the attempt's folder; requires a finished epoch.
v1::WorkerEvent OutcomeEvent(const models::ArchiveContents& contents,
                             const std::string& archive_name, const models::ArchiveInfo& archive,
                             const models::Dataset& dataset);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_OUTCOME_EVENT_H_
