// The fields of a specification that choose an optimiser, a schedule, clipping and what is
// monitored. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_JOBS_TRAINING_CHOICES_H_
#define ATELIER_SERVER_JOBS_TRAINING_CHOICES_H_

#include <vector>

#include "atelier/v1/job.pb.h"
#include "server/jobs/error.h"

namespace atelier::jobs {

// Fills the fields whose default depends on another field, and appends what is wrong: values out of
// range, and fields that the optimiser or the schedule has no use for. The recipe's values must be
// filled in.
void ResolveTrainingChoices(v1::TrainingSpec* spec, std::vector<FieldViolation>* wrong);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_TRAINING_CHOICES_H_
