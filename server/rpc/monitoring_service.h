// atelier.v1.MonitoringService over whatever counts.
#ifndef ATELIER_SERVER_RPC_MONITORING_SERVICE_H_
#define ATELIER_SERVER_RPC_MONITORING_SERVICE_H_

#include <functional>
#include <utility>

#include "atelier/v1/monitoring_service.grpc.pb.h"
#include "server/base/task_queue.h"

namespace atelier::rpc {

// Thread-safe.
class MonitoringService final : public v1::MonitoringService::CallbackService {
 public:
  // Answers with the metrics of a request; called by several threads.
  using Collect = std::function<v1::GetMetricsResponse(const v1::GetMetricsRequest&)>;

  // `tasks` and what `collect` refers to must outlive the service.
  MonitoringService(Collect collect, TaskQueue* tasks)
      : collect_(std::move(collect)), tasks_(tasks) {}

  grpc::ServerUnaryReactor* GetMetrics(grpc::CallbackServerContext* context,
                                       const v1::GetMetricsRequest* request,
                                       v1::GetMetricsResponse* response) override;

 private:
  const Collect collect_;
  TaskQueue* const tasks_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_MONITORING_SERVICE_H_
