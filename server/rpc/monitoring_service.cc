#include "server/rpc/monitoring_service.h"

#include "server/rpc/unary.h"

namespace atelier::rpc {

grpc::ServerUnaryReactor* MonitoringService::GetMetrics(grpc::CallbackServerContext* context,
                                                        const v1::GetMetricsRequest* request,
                                                        v1::GetMetricsResponse* response) {
  return RunUnary(
      context, tasks_, response,
      [this, request]() -> absl::StatusOr<v1::GetMetricsResponse> { return collect_(*request); });
}

}  // namespace atelier::rpc
