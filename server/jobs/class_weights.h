// The class weights of a specification: `none`, `balanced`, or a number for each class.
// Thread-safe: a pure function.
#ifndef ATELIER_SERVER_JOBS_CLASS_WEIGHTS_H_
#define ATELIER_SERVER_JOBS_CLASS_WEIGHTS_H_

#include <vector>

#include "atelier/v1/job.pb.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/error.h"

namespace atelier::jobs {

// Checks them for a data set; numbers may be separated by colons or commas and are by colons
// afterwards, so that they stand in a list of values. Appends what is wrong, with the classes'
// names.
void ResolveClassWeights(const DatasetFacts& facts, v1::TrainingSpec* spec,
                         std::vector<FieldViolation>* wrong);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_CLASS_WEIGHTS_H_
