// What requests for models may ask, of a server and of a serving replica. Thread-safe: pure
// functions.
#ifndef ATELIER_SERVER_RPC_MODEL_REQUESTS_H_
#define ATELIER_SERVER_RPC_MODEL_REQUESTS_H_

#include <string>

#include "absl/status/statusor.h"
#include "atelier/v1/model_service.pb.h"

namespace atelier::rpc {

// The model in `models/{model}`; INVALID_ARGUMENT naming `name`, also if there is a version.
absl::StatusOr<std::string> ParseModelAlone(const std::string& name);

// How large a page shall be; INVALID_ARGUMENT naming `page_size`.
absl::StatusOr<int> ModelsPageSize(const v1::ListModelsRequest& request);
absl::StatusOr<int> VersionsPageSize(const v1::GetModelRequest& request);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_MODEL_REQUESTS_H_
