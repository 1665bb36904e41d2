// Images of a data set as clients get them: one by one, and side by side. Thread-safe: free
// functions.
#ifndef ATELIER_SERVER_RPC_DATASET_IMAGES_H_
#define ATELIER_SERVER_RPC_DATASET_IMAGES_H_

#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atelier/v1/dataset_service.pb.h"
#include "models/data/dataset_file.h"

namespace atelier::rpc {

// A data set's file, and its resource name.
struct OpenDataset {
  models::DatasetFile file;
  std::string name;
};

// Opens the data set that a request names.
using OpenFile = absl::FunctionRef<absl::StatusOr<OpenDataset>()>;

// The error for files that cannot be read: FAILED_PRECONDITION (BAD_DATA) if they are wrong,
// UNAVAILABLE (DATASET_UNAVAILABLE) otherwise.
absl::Status Unreadable(const absl::Status& why);

// Both check the request before they `open` its data set, whose errors they return.
// INVALID_ARGUMENT naming each wrong field.
absl::StatusOr<v1::GetImagesResponse> ReadImages(const v1::GetImagesRequest& request,
                                                 OpenFile open);
absl::StatusOr<v1::ImageSheet> DrawSheet(const v1::GetImageSheetRequest& request, OpenFile open);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_DATASET_IMAGES_H_
