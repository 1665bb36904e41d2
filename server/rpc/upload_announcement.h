// CreateUpload: checks what a client announces, and finds what is there of it already. Thread-safe:
// a free function.
#ifndef ATELIER_SERVER_RPC_UPLOAD_ANNOUNCEMENT_H_
#define ATELIER_SERVER_RPC_UPLOAD_ANNOUNCEMENT_H_

#include "absl/status/statusor.h"
#include "atelier/v1/dataset_service.pb.h"
#include "server/rpc/dataset_service.h"

namespace atelier::rpc {

// `creator` is who announces it. INVALID_ARGUMENT naming every wrong field; ALREADY_EXISTS
// (DATASET_OF_FLAG); errors of uploads::UploadFolder::Create. May wait for the disk.
absl::StatusOr<v1::Upload> AnnounceUpload(const DatasetService::Dependencies& with,
                                          const v1::CreateUploadRequest& request,
                                          const std::string& creator);

// An error of this code (DATASET_OF_FLAG) if the server has the data set by its flag.
absl::Status CheckNotFolder(const DatasetService::Dependencies& with, absl::StatusCode code,
                            const std::string& dataset);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_UPLOAD_ANNOUNCEMENT_H_
