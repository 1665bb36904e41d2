// A network worked out for people: DescribeNetwork. Thread-safe: free functions.
#ifndef ATELIER_SERVER_WIRING_NETWORK_DESCRIPTION_H_
#define ATELIER_SERVER_WIRING_NETWORK_DESCRIPTION_H_

#include "absl/status/statusor.h"
#include "atelier/v1/training_service.pb.h"
#include "server/jobs/dataset_source.h"

namespace atelier::wiring {

// Answers DescribeNetwork. INVALID_ARGUMENT naming the fields that name no network; NOT_FOUND and
// FAILED_PRECONDITION as FactsOfDataset, unless input and classes are given. May read a data set's
// headers from disk.
absl::StatusOr<v1::NetworkDescription> DescribeNetwork(const v1::DescribeNetworkRequest& request,
                                                       jobs::DatasetSource* datasets);

}  // namespace atelier::wiring

#endif  // ATELIER_SERVER_WIRING_NETWORK_DESCRIPTION_H_
