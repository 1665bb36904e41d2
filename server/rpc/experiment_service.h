// atelier.v1.ExperimentService over the experiment controller.
#ifndef ATELIER_SERVER_RPC_EXPERIMENT_SERVICE_H_
#define ATELIER_SERVER_RPC_EXPERIMENT_SERVICE_H_

#include "atelier/v1/experiment_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/jobs/experiment_controller.h"
#include "server/rpc/stream_set.h"

namespace atelier::rpc {

// Thread-safe.
class ExperimentService final : public v1::ExperimentService::CallbackService {
 public:
  // All must outlive the service.
  struct Dependencies {
    jobs::ExperimentController* controller;
    TaskQueue* tasks;
    StreamSet* streams;
  };

  explicit ExperimentService(Dependencies dependencies) : with_(dependencies) {}

  grpc::ServerUnaryReactor* StartExperiment(grpc::CallbackServerContext* context,
                                            const v1::StartExperimentRequest* request,
                                            v1::Experiment* response) override;
  grpc::ServerUnaryReactor* GetExperiment(grpc::CallbackServerContext* context,
                                          const v1::GetExperimentRequest* request,
                                          v1::Experiment* response) override;
  grpc::ServerUnaryReactor* ListExperiments(grpc::CallbackServerContext* context,
                                            const v1::ListExperimentsRequest* request,
                                            v1::ListExperimentsResponse* response) override;
  grpc::ServerUnaryReactor* StopExperiment(grpc::CallbackServerContext* context,
                                           const v1::StopExperimentRequest* request,
                                           v1::Experiment* response) override;
  grpc::ServerUnaryReactor* DeleteExperiment(grpc::CallbackServerContext* context,
                                             const v1::DeleteExperimentRequest* request,
                                             google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<v1::ExperimentUpdate>* StreamExperiment(
      grpc::CallbackServerContext* context, const v1::StreamExperimentRequest* request) override;

 private:
  const Dependencies with_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_EXPERIMENT_SERVICE_H_
