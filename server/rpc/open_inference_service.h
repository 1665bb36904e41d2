// inference.GRPCInferenceService, the Open Inference Protocol v2, over the classifier.
#ifndef ATELIER_SERVER_RPC_OPEN_INFERENCE_SERVICE_H_
#define ATELIER_SERVER_RPC_OPEN_INFERENCE_SERVICE_H_

#include <functional>
#include <string>

#include "inference/grpc_service.grpc.pb.h"
#include "server/base/task_queue.h"
#include "server/rpc/call_memory.h"
#include "server/rpc/corked_connections.h"
#include "server/rpc/infer_messages.h"
#include "server/serving/classifier.h"

namespace atelier::rpc {

// Thread-safe.
class OpenInferenceService final : public inference::GRPCInferenceService::CallbackService {
 public:
  // All must outlive the service; `memory`, for streams, and `connections`, which lets the answers
  // of a batch leave together, may be null. On `loading_tasks` run the calls that wait for versions
  // to be loaded or unloaded. `software_version` is what ServerMetadata tells. `ready` says whether
  // the server is, and never waits.
  OpenInferenceService(
      serving::Classifier* classifier, TaskQueue* tasks, TaskQueue* loading_tasks,
      std::string software_version, CallMemory* memory = nullptr,
      CorkedConnections* connections = nullptr, std::function<bool()> ready = [] { return true; })
      : classifier_(classifier),
        tasks_(tasks),
        loading_tasks_(loading_tasks),
        software_version_(std::move(software_version)),
        memory_(memory),
        connections_(connections),
        ready_(std::move(ready)) {}

  grpc::ServerUnaryReactor* ServerLive(grpc::CallbackServerContext* context,
                                       const inference::ServerLiveRequest* request,
                                       inference::ServerLiveResponse* response) override;
  grpc::ServerUnaryReactor* ServerReady(grpc::CallbackServerContext* context,
                                        const inference::ServerReadyRequest* request,
                                        inference::ServerReadyResponse* response) override;
  grpc::ServerUnaryReactor* ModelReady(grpc::CallbackServerContext* context,
                                       const inference::ModelReadyRequest* request,
                                       inference::ModelReadyResponse* response) override;
  grpc::ServerUnaryReactor* ServerMetadata(grpc::CallbackServerContext* context,
                                           const inference::ServerMetadataRequest* request,
                                           inference::ServerMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelMetadata(grpc::CallbackServerContext* context,
                                          const inference::ModelMetadataRequest* request,
                                          inference::ModelMetadataResponse* response) override;
  grpc::ServerUnaryReactor* ModelInfer(grpc::CallbackServerContext* context,
                                       const inference::ModelInferRequest* request,
                                       inference::ModelInferResponse* response) override;
  grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
  ModelStreamInfer(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* ModelConfig(grpc::CallbackServerContext* context,
                                        const inference::ModelConfigRequest* request,
                                        inference::ModelConfigResponse* response) override;
  grpc::ServerUnaryReactor* ModelStatistics(grpc::CallbackServerContext* context,
                                            const inference::ModelStatisticsRequest* request,
                                            inference::ModelStatisticsResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryIndex(grpc::CallbackServerContext* context,
                                            const inference::RepositoryIndexRequest* request,
                                            inference::RepositoryIndexResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelLoad(
      grpc::CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
      inference::RepositoryModelLoadResponse* response) override;
  grpc::ServerUnaryReactor* RepositoryModelUnload(
      grpc::CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
      inference::RepositoryModelUnloadResponse* response) override;

 private:
  absl::StatusOr<inference::ModelMetadataResponse> Metadata(const serving::ServedVersion& served);
  absl::StatusOr<inference::ModelReadyResponse> Ready(const std::string& model,
                                                      const std::string& version);
  absl::StatusOr<inference::ModelStatisticsResponse> Statistics(
      const inference::ModelStatisticsRequest& request);
  absl::StatusOr<inference::RepositoryIndexResponse> Index(bool only_ready);

  serving::Classifier* const classifier_;
  TaskQueue* const tasks_;
  TaskQueue* const loading_tasks_;
  const std::string software_version_;
  CallMemory* const memory_;
  CorkedConnections* const connections_;
  const std::function<bool()> ready_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_OPEN_INFERENCE_SERVICE_H_
