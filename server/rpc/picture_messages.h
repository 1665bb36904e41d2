// Between the messages of GetFilters, GetFeatureMaps and Explain and what the viewer speaks.
// Thread-safe: free functions.
#ifndef ATELIER_SERVER_RPC_PICTURE_MESSAGES_H_
#define ATELIER_SERVER_RPC_PICTURE_MESSAGES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atelier/v1/model_service.pb.h"
#include "server/views/model_viewer.h"

namespace atelier::rpc {

// What the viewer is asked; views the request's image. INVALID_ARGUMENT naming `name`, `input` or
// what is wrong in it.
absl::StatusOr<views::FiltersRequest> FromProto(const v1::GetFiltersRequest& request);
absl::StatusOr<views::FeatureMapsRequest> FromProto(const v1::GetFeatureMapsRequest& request);
// Also INVALID_ARGUMENT naming `method`.
absl::StatusOr<views::ExplainRequest> FromProto(const v1::ExplainRequest& request);

v1::Filters ToProto(views::FiltersResult result);
// With the numbers or without.
v1::FeatureMaps ToProto(views::FeatureMapsResult result, bool values);
v1::Explanation ToProto(views::ExplainResult result, bool values);

// A viewer's error with the detail that the API promises: the wrong field, or a reason.
absl::Status WithPictureDetail(const absl::Status& status);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_PICTURE_MESSAGES_H_
