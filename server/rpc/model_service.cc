#include "server/rpc/model_service.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/jobs/error.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/conversions.h"
#include "server/rpc/download_source.h"
#include "server/rpc/model_requests.h"
#include "server/rpc/ownership.h"
#include "server/rpc/picture_messages.h"
#include "server/rpc/stream_reactor.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {
namespace {

absl::Status CheckAlias(const v1::SetAliasRequest& request) {
  std::vector<jobs::FieldViolation> wrong;
  if (!jobs::IsAlias(request.alias()) || request.alias() == "latest") {
    wrong.push_back(
        {"alias",
         "An alias has 1 to 63 characters of a-z, 0-9 and '-', begins with a letter and "
         "is not 'latest', which moves by itself."});
  }
  if (request.version() < 0) {
    wrong.push_back({"version", absl::StrCat("The version is ", request.version(),
                                             "; versions count from 1, 0 removes the alias.")});
  }
  return jobs::InvalidFields(wrong);
}

absl::StatusOr<std::unique_ptr<StreamSource<v1::DownloadChunk>>> MakeDownloadSource(
    const v1::DownloadModelRequest& request, jobs::ModelStore* models,
    jobs::ArtifactStore* artifacts, ArchiveEntries* entries) {
  auto reference = jobs::ParseModelName(request.name());
  if (!reference.ok()) return reference.status();
  if (!v1::ModelFormat_IsValid(request.format())) {
    return jobs::InvalidField("format", absl::StrCat("There is no format ", request.format(),
                                                     "; it must be MODEL_FORMAT_ARCHIVE (1), "
                                                     "MODEL_FORMAT_TORCHSCRIPT (2) or "
                                                     "MODEL_FORMAT_ONNX (3)."));
  }
  return std::make_unique<VersionDownload>(*std::move(reference), request.format(), models,
                                           artifacts, entries);
}

models::StillWanted UntilCancelled(grpc::CallbackServerContext* context) {
  return [context] {
    return context->IsCancelled() ? absl::CancelledError("The call was cancelled.")
                                  : absl::OkStatus();
  };
}

}  // namespace

grpc::ServerUnaryReactor* ModelService::ListModels(grpc::CallbackServerContext* context,
                                                   const v1::ListModelsRequest* request,
                                                   v1::ListModelsResponse* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request]() -> absl::StatusOr<v1::ListModelsResponse> {
                    const auto page = ModelsPageSize(*request);
                    if (!page.ok()) return page.status();
                    return with_.models->ListModels(*page, request->page_token());
                  });
}

grpc::ServerUnaryReactor* ModelService::GetModel(grpc::CallbackServerContext* context,
                                                 const v1::GetModelRequest* request,
                                                 v1::Model* response) {
  return RunUnary(context, with_.tasks, response, [this, request]() -> absl::StatusOr<v1::Model> {
    const auto model = ParseModelAlone(request->name());
    if (!model.ok()) return model.status();
    const auto page = VersionsPageSize(*request);
    if (!page.ok()) return page.status();
    return with_.models->GetModel(*model, *page, request->page_token());
  });
}

grpc::ServerUnaryReactor* ModelService::SetAlias(grpc::CallbackServerContext* context,
                                                 const v1::SetAliasRequest* request,
                                                 v1::Model* response) {
  return RunUnary(context, with_.loading_tasks, response,
                  [this, request, caller = CallerOf(*context)]() -> absl::StatusOr<v1::Model> {
                    const auto model = ParseModelAlone(request->name());
                    if (!model.ok()) return model.status();
                    const absl::Status status = CheckAlias(*request);
                    if (!status.ok()) return status;
                    return ChangeAlias(*model, *request, caller->name);
                  });
}

grpc::ServerUnaryReactor* ModelService::DeleteModel(grpc::CallbackServerContext* context,
                                                    const v1::DeleteModelRequest* request,
                                                    google::protobuf::Empty* response) {
  return RunUnary(
      context, with_.loading_tasks, response,
      [this, request, caller = CallerOf(*context)]() -> absl::StatusOr<google::protobuf::Empty> {
        const absl::Status status = Delete(*caller, *request);
        if (!status.ok()) return status;
        return google::protobuf::Empty();
      });
}

absl::StatusOr<v1::Model> ModelService::ChangeAlias(const std::string& model,
                                                    const v1::SetAliasRequest& request,
                                                    const std::string& caller) {
  if (request.version() > 0 && with_.prepare) {
    // That there is no such version is for the registry to say.
    const absl::Status prepared = with_.prepare(model, request.version());
    if (!prepared.ok() && !absl::IsNotFound(prepared)) return WithDetail(prepared);
  }
  auto changed = with_.models->SetAlias(model, request.alias(), request.version(), request.force(),
                                        {.creator = caller, .time = absl::Now()});
  if (changed.ok() && with_.on_changed) with_.on_changed(model);
  return changed;
}

absl::Status ModelService::Delete(const access::Caller& caller,
                                  const v1::DeleteModelRequest& request) {
  const auto reference = jobs::ParseModelName(request.name());
  if (!reference.ok()) return reference.status();
  if (auto status = CheckOwnModel(with_.models, caller, *reference); !status.ok()) return status;
  std::vector<std::int64_t> versions;
  if (reference->version.empty()) {
    auto deleted = with_.models->DeleteModel(reference->model, request.force());
    if (!deleted.ok()) return deleted.status();
    versions = *std::move(deleted);
  } else {
    std::int64_t version = 0;
    if (!absl::SimpleAtoi(reference->version, &version)) {
      return jobs::InvalidField("name", absl::StrCat("'", request.name(),
                                                     "' names an alias; a "
                                                     "version can only be deleted by its number."));
    }
    absl::Status status = with_.models->DeleteVersion(reference->model, version, request.force());
    if (!status.ok()) return status;
    versions.push_back(version);
  }
  // The registry's word counts: files that cannot be removed now are only in the way.
  if (with_.on_changed) with_.on_changed(reference->model);
  for (const std::int64_t version : versions) {
    if (with_.on_deleted) with_.on_deleted(reference->model, version);
    const absl::Status removed = with_.artifacts->RemoveVersion(reference->model, version);
    if (!removed.ok() && with_.log) with_.log(std::string(removed.message()));
  }
  return absl::OkStatus();
}

grpc::ServerWriteReactor<v1::DownloadChunk>* ModelService::DownloadModel(
    grpc::CallbackServerContext* context, const v1::DownloadModelRequest* request) {
  return StreamReactor<v1::DownloadChunk>::Start(
      with_.streams, context,
      MakeDownloadSource(*request, with_.models, with_.artifacts, &entries_));
}

grpc::ServerUnaryReactor* ModelService::GetFilters(grpc::CallbackServerContext* context,
                                                   const v1::GetFiltersRequest* request,
                                                   v1::Filters* response) {
  return RunUnary(context, with_.picture_tasks, response,
                  [this, request]() -> absl::StatusOr<v1::Filters> {
                    const auto wanted = FromProto(*request);
                    if (!wanted.ok()) return wanted.status();
                    auto filters = with_.viewer->Filters(*wanted);
                    if (!filters.ok()) return WithPictureDetail(filters.status());
                    return ToProto(*std::move(filters));
                  });
}

grpc::ServerUnaryReactor* ModelService::GetFeatureMaps(grpc::CallbackServerContext* context,
                                                       const v1::GetFeatureMapsRequest* request,
                                                       v1::FeatureMaps* response) {
  return RunUnary(context, with_.picture_tasks, response,
                  [this, context, request]() -> absl::StatusOr<v1::FeatureMaps> {
                    auto wanted = FromProto(*request);
                    if (!wanted.ok()) return wanted.status();
                    wanted->still_wanted = UntilCancelled(context);
                    auto maps = with_.viewer->FeatureMaps(*wanted);
                    if (!maps.ok()) return WithPictureDetail(maps.status());
                    return ToProto(*std::move(maps), request->values());
                  });
}

grpc::ServerUnaryReactor* ModelService::Explain(grpc::CallbackServerContext* context,
                                                const v1::ExplainRequest* request,
                                                v1::Explanation* response) {
  return RunUnary(context, with_.picture_tasks, response,
                  [this, context, request]() -> absl::StatusOr<v1::Explanation> {
                    auto wanted = FromProto(*request);
                    if (!wanted.ok()) return wanted.status();
                    wanted->still_wanted = UntilCancelled(context);
                    auto explained = with_.viewer->Explain(*wanted);
                    if (!explained.ok()) return WithPictureDetail(explained.status());
                    return ToProto(*std::move(explained), request->values());
                  });
}

grpc::ServerUnaryReactor* ModelService::EvaluateModel(grpc::CallbackServerContext* context,
                                                      const v1::EvaluateModelRequest* request,
                                                      v1::TrainingJob* response) {
  return RunUnary(context, with_.tasks, response, [this, request, caller = CallerOf(*context)] {
    return with_.controller->StartEvaluation(*request, caller->name);
  });
}

}  // namespace atelier::rpc
