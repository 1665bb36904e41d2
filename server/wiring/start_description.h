// What a training begins with: which layers of its network take the weights of a model version, and
// which are frozen. Thread-safe: free functions.
#ifndef ATELIER_SERVER_WIRING_START_DESCRIPTION_H_
#define ATELIER_SERVER_WIRING_START_DESCRIPTION_H_

#include <vector>

#include "atelier/v1/job.pb.h"
#include "atelier/v1/model_service.pb.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/error.h"

namespace atelier::wiring {

// Describes in `start` what a specification begins with, whose network, if it has one, fits the
// data set. Without a version (null) that is what a continued job has, and only its frozen layers
// are told. Gives what is wrong.
std::vector<jobs::FieldViolation> DescribeStart(const v1::TrainingSpec& spec,
                                                const jobs::DatasetFacts& facts,
                                                const v1::ModelVersion* version,
                                                v1::TrainingStart* start);

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_START_DESCRIPTION_H_
