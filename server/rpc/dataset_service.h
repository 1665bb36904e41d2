// atelier.v1.DatasetService over the catalogue of data sets.
#ifndef ATELIER_SERVER_RPC_DATASET_SERVICE_H_
#define ATELIER_SERVER_RPC_DATASET_SERVICE_H_

#include "atelier/v1/dataset_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/views/dataset_catalog.h"

namespace atelier::rpc {

// Thread-safe.
class DatasetService final : public v1::DatasetService::CallbackService {
 public:
  // Both must outlive the service.
  DatasetService(views::DatasetCatalog* catalog, TaskQueue* tasks)
      : catalog_(catalog), tasks_(tasks) {}

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

 private:
  views::DatasetCatalog* const catalog_;
  TaskQueue* const tasks_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_DATASET_SERVICE_H_
