// atelier.v1.DatasetService over the catalogue of data sets, the store of pushed ones and the
// uploads.
#ifndef ATELIER_SERVER_RPC_DATASET_SERVICE_H_
#define ATELIER_SERVER_RPC_DATASET_SERVICE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "atelier/v1/dataset_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/jobs/artifact_store.h"
#include "server/jobs/dataset_store.h"
#include "server/jobs/job_controller.h"
#include "server/rpc/stream_set.h"
#include "server/uploads/upload_folder.h"
#include "server/views/dataset_catalog.h"

namespace atelier::rpc {

// Thread-safe.
class DatasetService final : public v1::DatasetService::CallbackService {
 public:
  // All must outlive the service.
  struct Dependencies {
    views::DatasetCatalog* catalog;
    jobs::DatasetStore* pushed;
    jobs::ArtifactStore* artifacts;
    jobs::JobController* controller;
    const jobs::SpecResolver::Options* limits;  // Of what jobs may ask for.
    uploads::UploadFolder* uploads;
    TaskQueue* tasks;         // For calls that read data sets, which may wait long.
    TaskQueue* upload_tasks;  // For pieces of uploads, one at a time of each.
    StreamSet* streams;
    // Whether a creator whose uploads have so many bytes may have so many more of data; empty:
    // nobody is limited.
    std::function<absl::Status(const std::string& creator, std::int64_t uploads, std::int64_t more)>
        check_data = {};
  };

  explicit DatasetService(Dependencies with) : with_(std::move(with)) {}

  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context,
                                         const v1::ListDatasetsRequest* request,
                                         v1::ListDatasetsResponse* response) override;
  grpc::ServerUnaryReactor* GetDataset(grpc::CallbackServerContext* context,
                                       const v1::GetDatasetRequest* request,
                                       v1::Dataset* response) override;
  // FAILED_PRECONDITION (BAD_DATA) if the data set's files cannot be used; UNAVAILABLE
  // (DATASET_UNAVAILABLE) if they cannot be read at the moment.
  grpc::ServerUnaryReactor* GetImages(grpc::CallbackServerContext* context,
                                      const v1::GetImagesRequest* request,
                                      v1::GetImagesResponse* response) override;
  grpc::ServerUnaryReactor* GetImageSheet(grpc::CallbackServerContext* context,
                                          const v1::GetImageSheetRequest* request,
                                          v1::ImageSheet* response) override;
  grpc::ServerUnaryReactor* DeleteDataset(grpc::CallbackServerContext* context,
                                          const v1::DeleteDatasetRequest* request,
                                          google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* CreateUpload(grpc::CallbackServerContext* context,
                                         const v1::CreateUploadRequest* request,
                                         v1::Upload* response) override;
  grpc::ServerUnaryReactor* GetUpload(grpc::CallbackServerContext* context,
                                      const v1::GetUploadRequest* request,
                                      v1::Upload* response) override;
  grpc::ServerReadReactor<v1::WriteUploadRequest>* WriteUpload(grpc::CallbackServerContext* context,
                                                               v1::Upload* response) override;
  grpc::ServerUnaryReactor* DeleteUpload(grpc::CallbackServerContext* context,
                                         const v1::DeleteUploadRequest* request,
                                         google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* CheckDataset(grpc::CallbackServerContext* context,
                                         const v1::CheckDatasetRequest* request,
                                         v1::TrainingJob* response) override;
  grpc::ServerUnaryReactor* ImportDataset(grpc::CallbackServerContext* context,
                                          const v1::ImportDatasetRequest* request,
                                          v1::TrainingJob* response) override;

 private:
  const Dependencies with_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_DATASET_SERVICE_H_
