// The fields of a specification that say what a training starts from: a model version, and which of
// its layers stay as they are. Thread-safe: free functions.
#ifndef ATELIER_SERVER_JOBS_START_CHOICES_H_
#define ATELIER_SERVER_JOBS_START_CHOICES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "atelier/v1/training_service.pb.h"
#include "google/protobuf/descriptor.h"
#include "server/jobs/error.h"
#include "server/jobs/model_store.h"

namespace atelier::jobs {

// The fields that a specification has.
std::vector<const google::protobuf::FieldDescriptor*> FieldsOf(const v1::TrainingSpec& spec);

// Clears what says or changes which network is meant.
void ClearNetwork(v1::TrainingSpec* spec);

// Gives a specification the network of another one: all of it if it names none, and what it leaves
// out if it only changes one (its kernel, say).
void InheritNetwork(const v1::TrainingSpec& from, v1::TrainingSpec* spec);

// What jobs and models of a network are called that have no name of their own.
std::string NetworkName(const v1::TrainingSpec& spec);

// Whether a specification names a network, by its preset, depth, filters or layers.
bool NamesNetwork(const v1::TrainingSpec& spec);

// Finds the version that spec.start_from means, writes its number there and takes over its network;
// nothing without start_from, or if there is no such version, which is appended to `wrong`. Also
// appends fields of `request` that only the server may set. `models` may be null; then there are no
// versions. Errors are the store's own.
absl::StatusOr<std::optional<v1::ModelVersion>> ResolveStart(
    const v1::StartTrainingRequest& request, ModelStore* models, v1::TrainingSpec* spec,
    std::vector<FieldViolation>* wrong);

// Gives the network the numbers by which the version that it starts from standardizes images, and
// says in the specification whether it has some. Appends spec.standardize to `wrong` if that is
// false although the network has some. `start` may be null.
void ResolveStandardization(const v1::ModelVersion* start, v1::TrainingSpec* spec,
                            std::vector<FieldViolation>* wrong);

}  // namespace atelier::jobs

#endif  // ATELIER_SERVER_JOBS_START_CHOICES_H_
