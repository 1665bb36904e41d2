// The last event of an attempt that has a model: what was measured and where the archive is.
// Thread-safe: pure functions.
#ifndef ATELIER_SERVER_WORKER_OUTCOME_EVENT_H_
#define ATELIER_SERVER_WORKER_OUTCOME_EVENT_H_

#include <string>
#include <vector>

#include "atelier/worker/v1/worker_service.pb.h"
#include "models/archive/model_archive.h"
#include "models/data/dataset.h"
#include "models/training/evaluation.h"

namespace atelier::worker {

// What an evaluation says of single images, as messages. Of more than a million predictions the
// last are left out.
void FillConfusionMatrix(const models::Evaluation& evaluation,
                         const std::vector<std::string>& class_names,
                         atelier::v1::ConfusionMatrix* matrix);
void FillPredictions(const std::vector<models::Prediction>& predictions,
                     google::protobuf::RepeatedPtrField<atelier::v1::Prediction>* messages);

// Without a failure. `archive_name` is relative to the attempt's folder; requires a finished epoch.
v1::WorkerEvent OutcomeEvent(const models::ArchiveContents& contents,
                             const std::string& archive_name, const models::ArchiveInfo& archive,
                             const models::Dataset& dataset);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_OUTCOME_EVENT_H_
