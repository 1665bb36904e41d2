#include "server/rpc/open_inference_service.h"

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include "server/rpc/conversions.h"
#include "server/rpc/infer_call.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {

using serving::ServedVersion;
using serving::VersionTable;

namespace {

// RunUnary with the version that a reference leads to; no thread waits until it is loaded.
template <typename Response, typename Function>
grpc::ServerUnaryReactor* RunWithVersion(VersionTable* versions, const std::string& model,
                                         const std::string& reference,
                                         grpc::CallbackServerContext* context, TaskQueue* tasks,
                                         Response* response, Function function) {
  return BeginUnary(context, [&](grpc::ServerUnaryReactor* reactor) {
    versions->Get(model, reference, [=](VersionTable::Result served) {
      if (!served.ok()) return reactor->Finish(ToGrpcStatus(WithDetail(served.status())));
      FinishOn(tasks, context, reactor, response,
               [function, served = *std::move(served)] { return function(*served); });
    });
  });
}

}  // namespace

grpc::ServerUnaryReactor* OpenInferenceService::ServerLive(
    grpc::CallbackServerContext* context, const inference::ServerLiveRequest* /*request*/,
    inference::ServerLiveResponse* response) {
  response->set_live(true);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* OpenInferenceService::ServerReady(
    grpc::CallbackServerContext* context, const inference::ServerReadyRequest* /*request*/,
    inference::ServerReadyResponse* response) {
  response->set_ready(ready_());
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* OpenInferenceService::ServerMetadata(
    grpc::CallbackServerContext* context, const inference::ServerMetadataRequest* /*request*/,
    inference::ServerMetadataResponse* response) {
  return BeginUnary(context, [&](grpc::ServerUnaryReactor* reactor) {
    response->set_name("atelier");
    response->set_version(software_version_);
    for (const char* extension :
         {"classification", "model_configuration", "model_repository", "statistics"}) {
      response->add_extensions(extension);
    }
    reactor->Finish(grpc::Status::OK);
  });
}

absl::StatusOr<inference::ModelReadyResponse> OpenInferenceService::Ready(
    const std::string& model, const std::string& version) {
  const auto ready = classifier_->versions().CanAnswer(model, version);
  if (!ready.ok() && !absl::IsUnavailable(ready.status())) return ready.status();
  inference::ModelReadyResponse response;
  response.set_ready(ready.value_or(false));
  return response;
}

grpc::ServerUnaryReactor* OpenInferenceService::ModelReady(
    grpc::CallbackServerContext* context, const inference::ModelReadyRequest* request,
    inference::ModelReadyResponse* response) {
  return RunUnary(context, tasks_, response,
                  [this, request] { return Ready(request->name(), request->version()); });
}

absl::StatusOr<inference::ModelMetadataResponse> OpenInferenceService::Metadata(
    const ServedVersion& served) {
  const auto versions = classifier_->source().Versions(served.version.model);
  if (!versions.ok()) return versions.status();
  return InferMetadata(served, *versions);
}

grpc::ServerUnaryReactor* OpenInferenceService::ModelMetadata(
    grpc::CallbackServerContext* context, const inference::ModelMetadataRequest* request,
    inference::ModelMetadataResponse* response) {
  return RunWithVersion(&classifier_->versions(), request->name(), request->version(), context,
                        tasks_, response,
                        [this](const ServedVersion& served) { return Metadata(served); });
}

grpc::ServerUnaryReactor* OpenInferenceService::ModelConfig(
    grpc::CallbackServerContext* context, const inference::ModelConfigRequest* request,
    inference::ModelConfigResponse* response) {
  return RunWithVersion(
      &classifier_->versions(), request->name(), request->version(), context, tasks_, response,
      [this](const ServedVersion& served) -> absl::StatusOr<inference::ModelConfigResponse> {
        inference::ModelConfigResponse answer;
        *answer.mutable_config() = InferConfig(served, classifier_->options());
        return answer;
      });
}

grpc::ServerUnaryReactor* OpenInferenceService::ModelInfer(
    grpc::CallbackServerContext* context, const inference::ModelInferRequest* request,
    inference::ModelInferResponse* response) {
  return BeginUnary(context, [&](grpc::ServerUnaryReactor* reactor) {
    Infer(classifier_, *context, *request, response,
          [this, context, reactor](const absl::Status& status) {
            if (connections_ != nullptr) connections_->Cork(*context);
            reactor->Finish(ToGrpcStatus(status));
          });
  });
}

grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
OpenInferenceService::ModelStreamInfer(grpc::CallbackServerContext* context) {
  return StartInferStream(classifier_, memory_, context);
}

absl::StatusOr<inference::ModelStatisticsResponse> OpenInferenceService::Statistics(
    const inference::ModelStatisticsRequest& request) {
  std::int64_t number = 0;
  if (!request.version().empty() || !request.name().empty()) {
    const auto version = classifier_->source().Versions(request.name());
    if (!version.ok()) return version.status();
  }
  if (!request.version().empty()) {
    const auto version = classifier_->source().Resolve(request.name(), request.version());
    if (!version.ok()) return version.status();
    number = version->number;
  }
  std::vector<std::shared_ptr<ServedVersion>> loaded = classifier_->versions().Loaded();
  std::sort(loaded.begin(), loaded.end(), [](const auto& a, const auto& b) {
    return std::tie(a->version.model, a->version.number) <
           std::tie(b->version.model, b->version.number);
  });
  inference::ModelStatisticsResponse response;
  for (const auto& served : loaded) {
    if (!request.name().empty() && served->version.model != request.name()) continue;
    if (number != 0 && served->version.number != number) continue;
    *response.add_model_stats() = InferStatistics(*served);
  }
  return response;
}

grpc::ServerUnaryReactor* OpenInferenceService::ModelStatistics(
    grpc::CallbackServerContext* context, const inference::ModelStatisticsRequest* request,
    inference::ModelStatisticsResponse* response) {
  return RunUnary(context, tasks_, response, [this, request] { return Statistics(*request); });
}

absl::StatusOr<inference::RepositoryIndexResponse> OpenInferenceService::Index(bool only_ready) {
  const auto models = classifier_->source().Models();
  if (!models.ok()) return models.status();
  inference::RepositoryIndexResponse response;
  for (const std::string& model : *models) {
    const auto versions = classifier_->source().Versions(model);
    if (!versions.ok()) continue;  // Deleted meanwhile.
    for (const serving::Version& version : *versions) {
      const VersionTable::Standing standing = classifier_->versions().StandingOf(version);
      if (only_ready && standing.state != VersionTable::State::kReady) continue;
      *response.add_models() = InferIndex(standing);
    }
  }
  return response;
}

grpc::ServerUnaryReactor* OpenInferenceService::RepositoryIndex(
    grpc::CallbackServerContext* context, const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  return RunUnary(context, tasks_, response, [this, request] { return Index(request->ready()); });
}

grpc::ServerUnaryReactor* OpenInferenceService::RepositoryModelLoad(
    grpc::CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
    inference::RepositoryModelLoadResponse* response) {
  return RunUnary(context, loading_tasks_, response,
                  [this, request]() -> absl::StatusOr<inference::RepositoryModelLoadResponse> {
                    const std::string& model = request->model_name();
                    const auto versions = classifier_->source().Versions(model);
                    if (!versions.ok()) return versions.status();
                    classifier_->versions().Allow(model, std::nullopt);
                    const auto served = classifier_->versions().Load(model, "");
                    if (!served.ok()) return WithDetail(served.status());
                    return inference::RepositoryModelLoadResponse();
                  });
}

grpc::ServerUnaryReactor* OpenInferenceService::RepositoryModelUnload(
    grpc::CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
    inference::RepositoryModelUnloadResponse* response) {
  return RunUnary(context, loading_tasks_, response,
                  [this, request]() -> absl::StatusOr<inference::RepositoryModelUnloadResponse> {
                    const auto versions = classifier_->source().Versions(request->model_name());
                    if (!versions.ok()) return versions.status();
                    classifier_->versions().Unload(request->model_name(), std::nullopt);
                    return inference::RepositoryModelUnloadResponse();
                  });
}

}  // namespace atelier::rpc
