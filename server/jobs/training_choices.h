// The fields of a specification that choose an optimiser, a schedule, clipping, what is monitored
// and how the training is regularized. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_JOBS_TRAINING_CHOICES_H_
#define ATELIER_SERVER_JOBS_TRAINING_CHOICES_H_

#include <vector>

#include "atelier/v1/job.pb.h"
#include "server/jobs/error.h"

namespace atelier::jobs {

// Epochs of a step of SCHEDULE_STEP where nothing is said of them: a third of those that the
// schedule covers, rounded up.
int DefaultStepEpochs(const v1::TrainingSpec& spec);

// Fills the fields whose default depends on another field, and appends what is wrong: values out of
// range, and fields that the optimiser or the schedule has no use for. The recipe's values must be
// filled in.
void ResolveTrainingChoices(v1::TrainingSpec* spec, std::vector<FieldViolation>* wrong);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_TRAINING_CHOICES_H_
