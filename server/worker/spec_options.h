// From the specification of a job to the options of the trainer. Thread-safe: a pure function.
#ifndef ATELIER_SERVER_WORKER_SPEC_OPTIONS_H_
#define ATELIER_SERVER_WORKER_SPEC_OPTIONS_H_

#include "absl/status/statusor.h"
#include "atelier/v1/job.pb.h"
#include "models/data/dataset.h"
#include "models/network/training_options.h"

namespace atelier::worker {

// What the trainer is told for an accepted job. Every field that can change the weights is read
// here and is part of TrainingOptions::Fingerprint. FailureReason kInvalidSpec if the preset is not
// known or does not fit the images, or class weights are no numbers; the other values are checked
// by TrainingOptions::Validate.
absl::StatusOr<models::TrainingOptions> OptionsOf(const atelier::v1::TrainingSpec& spec,
                                                  const models::Dataset& dataset);

// What the training begins with, which no specification tells.
models::TrainingStart StartOf(const atelier::v1::TrainingStart& start);

}  // namespace atelier::worker

#endif  // ATELIER_SERVER_WORKER_SPEC_OPTIONS_H_
