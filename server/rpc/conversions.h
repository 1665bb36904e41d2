// Between what models/ and serving/ speak and the messages of the API. Thread-safe: free functions.
#ifndef ATELIER_SERVER_RPC_CONVERSIONS_H_
#define ATELIER_SERVER_RPC_CONVERSIONS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "atelier/v1/dataset_service.pb.h"
#include "atelier/v1/inference_service.pb.h"
#include "atelier/v1/model_service.pb.h"
#include "models/data/dataset.h"
#include "models/data/dataset_statistics.h"
#include "server/serving/classifier.h"

namespace atelier::rpc {

v1::ImageShape ToProto(const models::ImageShape& shape);
// Without a name.
v1::Dataset ToProto(const models::DatasetInfo& info);
// Adds class counts, mean and deviation.
void AddStatistics(const models::DatasetStatistics& statistics, v1::Dataset* dataset);
v1::ClassifyResponse ToProto(const serving::ClassifyResult& result);

// The images of a request; views them. INVALID_ARGUMENT naming `input` or what is wrong in it.
absl::StatusOr<serving::ImageInput> InputOf(const v1::ClassifyRequest& request);
absl::StatusOr<serving::ImageInput> InputOf(const v1::GetFeatureMapsRequest& request);
absl::StatusOr<serving::ImageInput> InputOf(const v1::ExplainRequest& request);

// What the classifier is asked; views the request's images. `cancelled` is left empty.
// INVALID_ARGUMENT naming `model` or `input`.
absl::StatusOr<serving::ClassifyRequest> FromProto(const v1::ClassifyRequest& request);

// A classifier's error with the detail that the API promises: the wrong field, or a reason.
absl::Status WithDetail(const absl::Status& status);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CONVERSIONS_H_
