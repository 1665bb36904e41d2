#include "server/rpc/training_service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/jobs/error.h"
#include "server/jobs/recipes.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/event_source.h"
#include "server/rpc/log_source.h"
#include "server/rpc/ownership.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {
namespace {

absl::StatusOr<std::unique_ptr<StreamSource<v1::JobEvent>>> MakeEventSource(
    const v1::StreamMetricsRequest& request, jobs::EventLog* events,
    jobs::JobController* controller) {
  auto job = jobs::ParseJobName(request.name());
  if (!job.ok()) return job.status();
  if (request.after_number() < 0) {
    return jobs::InvalidField("after_number",
                              absl::StrCat("The event number is ", request.after_number(),
                                           "; it must be 0 or a number that was sent before."));
  }
  return std::make_unique<EventSource>(
      events, [controller](const std::string& id) { return controller->Get(id); }, *std::move(job),
      request.after_number(), request.epochs_only());
}

absl::StatusOr<std::unique_ptr<StreamSource<v1::LogChunk>>> MakeLogSource(
    const v1::StreamLogsRequest& request, jobs::JobController* controller,
    jobs::ArtifactStore* artifacts) {
  auto job = jobs::ParseJobName(request.name());
  if (!job.ok()) return job.status();
  if (request.attempt() < 0) {
    return jobs::InvalidField("attempt", absl::StrCat("The attempt is ", request.attempt(),
                                                      "; attempts count from 1, 0 is the newest."));
  }
  LogSource::Options options;
  options.job = *std::move(job);
  options.attempt = request.attempt();
  options.follow = request.follow();
  return std::make_unique<LogSource>(
      std::move(options), [controller](const std::string& id) { return controller->Get(id); },
      artifacts);
}

absl::StatusOr<std::unique_ptr<StreamSource<v1::DownloadChunk>>> MakeTensorboardSource(
    const v1::DownloadTensorboardRequest& request, const TrainingService::Dependencies& with) {
  auto job = jobs::ParseJobName(request.name());
  if (!job.ok()) return job.status();
  return std::make_unique<GrowingFileDownload>(
      [find = with.tensorboard, job = *std::move(job)] { return find(job); });
}

}  // namespace

grpc::ServerUnaryReactor* TrainingService::StartTraining(grpc::CallbackServerContext* context,
                                                         const v1::StartTrainingRequest* request,
                                                         v1::TrainingJob* response) {
  return RunUnary(context, with_.tasks, response, [this, request, caller = CallerOf(*context)] {
    return with_.controller->Start(*request, caller->name);
  });
}

grpc::ServerUnaryReactor* TrainingService::GetJob(grpc::CallbackServerContext* context,
                                                  const v1::GetJobRequest* request,
                                                  v1::TrainingJob* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request]() -> absl::StatusOr<v1::TrainingJob> {
                    const auto job = jobs::ParseJobName(request->name());
                    if (!job.ok()) return job.status();
                    return with_.controller->Get(*job);
                  });
}

grpc::ServerUnaryReactor* TrainingService::ListJobs(grpc::CallbackServerContext* context,
                                                    const v1::ListJobsRequest* request,
                                                    v1::ListJobsResponse* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return with_.controller->List(*request); });
}

grpc::ServerUnaryReactor* TrainingService::StopJob(grpc::CallbackServerContext* context,
                                                   const v1::StopJobRequest* request,
                                                   v1::TrainingJob* response) {
  return RunUnary(
      context, with_.tasks, response,
      [this, request, caller = CallerOf(*context)]() -> absl::StatusOr<v1::TrainingJob> {
        const auto job = jobs::ParseJobName(request->name());
        if (!job.ok()) return job.status();
        const absl::Status own = CheckOwnJob(with_.controller, *caller, *job);
        if (!own.ok()) return own;
        return with_.controller->Stop(*job);
      });
}

grpc::ServerUnaryReactor* TrainingService::DeleteJob(grpc::CallbackServerContext* context,
                                                     const v1::DeleteJobRequest* request,
                                                     google::protobuf::Empty* response) {
  return RunUnary(
      context, with_.tasks, response,
      [this, request, caller = CallerOf(*context)]() -> absl::StatusOr<google::protobuf::Empty> {
        const auto job = jobs::ParseJobName(request->name());
        if (!job.ok()) return job.status();
        absl::Status status = CheckOwnJob(with_.controller, *caller, *job);
        if (status.ok()) status = with_.controller->Delete(*job);
        if (!status.ok()) return status;
        return google::protobuf::Empty();
      });
}

grpc::ServerUnaryReactor* TrainingService::GetConfusionMatrix(
    grpc::CallbackServerContext* context, const v1::GetConfusionMatrixRequest* request,
    v1::ConfusionMatrix* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request]() -> absl::StatusOr<v1::ConfusionMatrix> {
                    const auto job = jobs::ParseJobName(request->name());
                    if (!job.ok()) return job.status();
                    return with_.controller->GetConfusionMatrix(*job);
                  });
}

grpc::ServerUnaryReactor* TrainingService::GetPredictions(grpc::CallbackServerContext* context,
                                                          const v1::GetPredictionsRequest* request,
                                                          v1::GetPredictionsResponse* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request]() -> absl::StatusOr<v1::GetPredictionsResponse> {
                    const auto job = jobs::ParseJobName(request->name());
                    if (!job.ok()) return job.status();
                    return with_.controller->GetPredictions(*job, *request);
                  });
}

grpc::ServerWriteReactor<v1::JobEvent>* TrainingService::StreamMetrics(
    grpc::CallbackServerContext* context, const v1::StreamMetricsRequest* request) {
  return StreamReactor<v1::JobEvent>::Start(
      with_.streams, context, MakeEventSource(*request, with_.events, with_.controller));
}

grpc::ServerWriteReactor<v1::LogChunk>* TrainingService::StreamLogs(
    grpc::CallbackServerContext* context, const v1::StreamLogsRequest* request) {
  return StreamReactor<v1::LogChunk>::Start(
      with_.streams, context, MakeLogSource(*request, with_.controller, with_.artifacts));
}

grpc::ServerWriteReactor<v1::DownloadChunk>* TrainingService::DownloadTensorboard(
    grpc::CallbackServerContext* context, const v1::DownloadTensorboardRequest* request) {
  return StreamReactor<v1::DownloadChunk>::Start(with_.streams, context,
                                                 MakeTensorboardSource(*request, with_));
}

grpc::ServerUnaryReactor* TrainingService::ListPresets(grpc::CallbackServerContext* context,
                                                       const v1::ListPresetsRequest* request,
                                                       v1::ListPresetsResponse* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return with_.list_presets(*request); });
}

grpc::ServerUnaryReactor* TrainingService::DescribeNetwork(
    grpc::CallbackServerContext* context, const v1::DescribeNetworkRequest* request,
    v1::NetworkDescription* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return with_.describe_network(*request); });
}

grpc::ServerUnaryReactor* TrainingService::ListRecipes(grpc::CallbackServerContext* context,
                                                       const v1::ListRecipesRequest* /*request*/,
                                                       v1::ListRecipesResponse* response) {
  return RunUnary(context, with_.tasks, response, []() -> absl::StatusOr<v1::ListRecipesResponse> {
    v1::ListRecipesResponse answer;
    answer.mutable_recipes()->Add(jobs::Recipes().begin(), jobs::Recipes().end());
    return answer;
  });
}

}  // namespace atelier::rpc
