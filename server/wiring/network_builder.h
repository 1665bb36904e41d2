// The network that a specification asks for: a preset, a preset with changes, or layers.
// Thread-safe: free functions.
#ifndef ATELIER_SERVER_WIRING_NETWORK_BUILDER_H_
#define ATELIER_SERVER_WIRING_NETWORK_BUILDER_H_

#include <string>
#include <vector>

#include "atelier/v1/job.pb.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/error.h"

namespace atelier::wiring {

// Sets the specification's network from its preset and the fields from conv to residual; one that
// is there must be the same, or alone. Gives what is wrong with those fields.
std::vector<jobs::FieldViolation> BuildNetwork(v1::TrainingSpec* spec);

// Why the network of a resolved specification cannot be trained on a data set, such as images that
// are too small or more parameters than its memory holds, without a full stop; empty if it can.
std::string NetworkProblem(const v1::TrainingSpec& spec, const jobs::DatasetFacts& facts);

// In which precision this machine trains that network faster, at the same accuracy.
v1::Precision FastestPrecision(const v1::TrainingSpec& spec, const jobs::DatasetFacts& facts);

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_NETWORK_BUILDER_H_
