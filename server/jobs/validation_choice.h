// Which images validate: those that the data set brings, or a fraction of the training images.
// Thread-safe: a pure function.
#ifndef ATELIER_SERVER_JOBS_VALIDATION_CHOICE_H_
#define ATELIER_SERVER_JOBS_VALIDATION_CHOICE_H_

#include <cstdint>
#include <vector>

#include "atelier/v1/job.pb.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/error.h"

namespace atelier::jobs {

// The number of images left to train on. Where the data set brings validation images the
// specification has no fraction afterwards, and one that was `given` by the request is wrong.
std::int64_t ResolveValidation(const DatasetFacts& facts, bool given, v1::TrainingSpec* spec,
                               std::vector<FieldViolation>* wrong);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_VALIDATION_CHOICE_H_
