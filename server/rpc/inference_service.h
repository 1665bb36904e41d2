// atelier.v1.InferenceService over the classifier.
#ifndef ATELIER_SERVER_RPC_INFERENCE_SERVICE_H_
#define ATELIER_SERVER_RPC_INFERENCE_SERVICE_H_

#include "atelier/v1/inference_service.grpc.pb.h"
#include "server/rpc/corked_connections.h"
#include "server/serving/classifier.h"

namespace atelier::rpc {

// When a call has to be answered, on the clock that serving measures with; its maximum if that
// is more than a day ahead or the caller set no deadline.
serving::SteadyTime SteadyDeadline(const grpc::CallbackServerContext& context);

// Thread-safe.
class InferenceService final : public v1::InferenceService::CallbackService {
 public:
  // Both must outlive the service; `connections`, which lets the answers of a batch leave together,
  // may be null.
  explicit InferenceService(serving::Classifier* classifier,
                            CorkedConnections* connections = nullptr)
      : classifier_(classifier), connections_(connections) {}

  grpc::ServerUnaryReactor* Classify(grpc::CallbackServerContext* context,
                                     const v1::ClassifyRequest* request,
                                     v1::ClassifyResponse* response) override;

 private:
  serving::Classifier* const classifier_;
  CorkedConnections* const connections_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_INFERENCE_SERVICE_H_
