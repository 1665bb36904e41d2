#include "server/rpc/experiment_service.h"

#include <memory>
#include <utility>

#include "server/jobs/resource_names.h"
#include "server/rpc/experiment_source.h"
#include "server/rpc/ownership.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {
namespace {

absl::StatusOr<std::unique_ptr<StreamSource<v1::ExperimentUpdate>>> MakeSource(
    const v1::StreamExperimentRequest& request, jobs::ExperimentController* controller) {
  auto id = jobs::ParseExperimentName(request.name());
  if (!id.ok()) return id.status();
  return std::make_unique<ExperimentSource>(controller, *std::move(id));
}

}  // namespace

grpc::ServerUnaryReactor* ExperimentService::StartExperiment(
    grpc::CallbackServerContext* context, const v1::StartExperimentRequest* request,
    v1::Experiment* response) {
  return RunUnary(context, with_.tasks, response, [this, request, caller = CallerOf(*context)] {
    return with_.controller->Start(*request, caller->name);
  });
}

grpc::ServerUnaryReactor* ExperimentService::GetExperiment(grpc::CallbackServerContext* context,
                                                           const v1::GetExperimentRequest* request,
                                                           v1::Experiment* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request]() -> absl::StatusOr<v1::Experiment> {
                    const auto id = jobs::ParseExperimentName(request->name());
                    if (!id.ok()) return id.status();
                    return with_.controller->Get(*id);
                  });
}

grpc::ServerUnaryReactor* ExperimentService::ListExperiments(
    grpc::CallbackServerContext* context, const v1::ListExperimentsRequest* request,
    v1::ListExperimentsResponse* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return with_.controller->List(*request); });
}

grpc::ServerUnaryReactor* ExperimentService::StopExperiment(
    grpc::CallbackServerContext* context, const v1::StopExperimentRequest* request,
    v1::Experiment* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request, caller = CallerOf(*context)]() -> absl::StatusOr<v1::Experiment> {
                    const auto id = jobs::ParseExperimentName(request->name());
                    if (!id.ok()) return id.status();
                    const absl::Status own = CheckOwnExperiment(with_.controller, *caller, *id);
                    if (!own.ok()) return own;
                    return with_.controller->Stop(*id);
                  });
}

grpc::ServerUnaryReactor* ExperimentService::DeleteExperiment(
    grpc::CallbackServerContext* context, const v1::DeleteExperimentRequest* request,
    google::protobuf::Empty* response) {
  return RunUnary(
      context, with_.tasks, response,
      [this, request, caller = CallerOf(*context)]() -> absl::StatusOr<google::protobuf::Empty> {
        const auto id = jobs::ParseExperimentName(request->name());
        if (!id.ok()) return id.status();
        absl::Status status = CheckOwnExperiment(with_.controller, *caller, *id);
        if (status.ok()) status = with_.controller->Delete(*id);
        if (!status.ok()) return status;
        return google::protobuf::Empty();
      });
}

grpc::ServerWriteReactor<v1::ExperimentUpdate>* ExperimentService::StreamExperiment(
    grpc::CallbackServerContext* context, const v1::StreamExperimentRequest* request) {
  return StreamReactor<v1::ExperimentUpdate>::Start(with_.streams, context,
                                                    MakeSource(*request, with_.controller));
}

}  // namespace atelier::rpc
