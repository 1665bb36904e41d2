// Images of a data set, fetched in responses of bounded size. Thread-safe: a free
// function.
#ifndef ATELIER_CLIENT_CALLS_DATASET_IMAGES_H_
#define ATELIER_CLIENT_CALLS_DATASET_IMAGES_H_

#include "absl/status/statusor.h"
#include "atelier/v1/dataset_service.pb.h"
#include "client/calls/session.h"

namespace atelier::client {

// How many images of that size an answer has room for, as they are or as PNG files.
int ImagesPerResponse(const v1::ImageShape& shape);

// GetImages, in as many calls as needed: a response has at most 4 MiB.
absl::StatusOr<v1::GetImagesResponse> GetImages(Session& session,
                                                const v1::GetImagesRequest& request,
                                                const CallOptions& options = {});

}  // namespace atelier::client

#endif  // ATELIER_CLIENT_CALLS_DATASET_IMAGES_H_
