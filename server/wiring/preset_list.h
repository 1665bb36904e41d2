// The named networks of models/, as jobs and clients see them. Thread-safe: free functions.
#ifndef ATELIER_SERVER_WIRING_PRESET_LIST_H_
#define ATELIER_SERVER_WIRING_PRESET_LIST_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "atelier/v1/training_service.pb.h"
#include "server/jobs/dataset_source.h"
#include "server/jobs/spec_resolver.h"

namespace atelier::wiring {

// What SpecResolver chooses from.
std::vector<jobs::PresetChoice> PresetChoices();

// What the server knows of a data set, `datasets/{dataset}`, or of the default one if that is
// empty. INVALID_ARGUMENT naming `dataset`, NOT_FOUND (DATASET_NOT_FOUND), or FAILED_PRECONDITION
// (BAD_DATA) for a data set that cannot be used. May read its headers from disk.
absl::StatusOr<jobs::DatasetFacts> FactsOfDataset(const std::string& dataset,
                                                  jobs::DatasetSource* datasets);

// Answers ListPresets. Errors as FactsOfDataset.
absl::StatusOr<v1::ListPresetsResponse> ListPresets(const v1::ListPresetsRequest& request,
                                                    jobs::DatasetSource* datasets);

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_PRESET_LIST_H_
