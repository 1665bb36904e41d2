#include "server/rpc/dataset_service.h"

#include <compare>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/jobs/error.h"
#include "server/jobs/page_token.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/conversions.h"
#include "server/rpc/dataset_images.h"
#include "server/rpc/ownership.h"
#include "server/rpc/unary.h"
#include "server/rpc/upload_announcement.h"
#include "server/rpc/upload_reactor.h"

namespace atelier::rpc {
namespace {

constexpr int kDefaultPage = 100;
constexpr int kMaxPage = 1000;
constexpr absl::string_view kListScope = "datasets";
// How long a call waits for files that are being read for the first time.
constexpr absl::Duration kPatience = absl::Seconds(30);
// As long as a page waits for all of them together.
constexpr absl::Duration kPatienceWithAll = absl::Seconds(5);

// A data set of the server's flags, as far as its files were read by `deadline`.
v1::Dataset DescribeFolder(views::DatasetCatalog* catalog, const std::string& name,
                           absl::Time deadline) {
  const auto info = catalog->Info(name);
  v1::Dataset dataset = info.ok() ? ToProto(*info) : v1::Dataset();
  dataset.set_name(jobs::DatasetName(name));
  if (!info.ok()) {
    // Where the headers are wrong the rest need not be read.
    dataset.set_problem(std::string(info.status().message()));
    return dataset;
  }
  const auto content = catalog->Read(name, deadline - absl::Now());
  if (!content.has_value()) {
    dataset.add_warnings("Its files are still being read; request the checksum again later.");
  } else if (!content->ok()) {
    dataset.set_problem(std::string(content->status().message()));
  } else {
    const views::DatasetContent& known = **content;
    dataset.set_checksum(known.summary.checksum);
    dataset.mutable_warnings()->Add(known.summary.warnings.begin(), known.summary.warnings.end());
    AddStatistics(known.statistics, &dataset);
  }
  return dataset;
}

std::string NamesOf(const DatasetService::Dependencies& with) {
  std::vector<std::string> names = with.catalog->Names();
  const auto pushed = with.pushed->DatasetNames(jobs::DatasetStore::kNamed);
  if (pushed.ok()) names.insert(names.end(), pushed->begin(), pushed->end());
  return absl::StrJoin(names, ", ");
}

// The pushed data set that a reference names; a plain name that is not known lists what there is.
absl::StatusOr<v1::Dataset> FindPushed(const DatasetService::Dependencies& with,
                                       const jobs::DatasetReference& reference) {
  auto dataset = with.pushed->FindDataset(reference);
  if (dataset.ok() || jobs::ReasonOf(dataset.status()) != "DATASET_NOT_FOUND") return dataset;
  return jobs::Error(absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
                     absl::StrCat("There is no data set '", reference.Text(),
                                  "'; there are: ", NamesOf(with), "."));
}

bool IsFolder(const DatasetService::Dependencies& with, const jobs::DatasetReference& reference) {
  return reference.version == 0 && with.catalog->Directory(reference.dataset).has_value();
}

absl::StatusOr<OpenDataset> Open(const DatasetService::Dependencies& with,
                                 const std::string& name) {
  const auto reference = jobs::ParseDatasetName(name);
  if (!reference.ok()) return reference.status();
  if (IsFolder(with, *reference)) {
    auto file = with.catalog->Open(reference->dataset, kPatience);
    if (!file.ok()) return Unreadable(file.status());
    return OpenDataset{*std::move(file), jobs::DatasetName(reference->dataset)};
  }
  const auto dataset = FindPushed(with, *reference);
  if (!dataset.ok()) return dataset.status();
  const std::string path = with.artifacts->DatasetPath(reference->dataset, dataset->version());
  if (auto fetched = with.artifacts->Fetch(path); !fetched.ok()) return Unreadable(fetched);
  auto file = models::DatasetFile::Open(path);
  if (!file.ok()) return Unreadable(file.status());
  return OpenDataset{*std::move(file), dataset->name()};
}

// A place in the list: a name, where the server's folder comes before what was pushed.
struct ListPlace {
  std::string name;
  bool pushed = false;
  friend auto operator<=>(const ListPlace&, const ListPlace&) = default;
};

// In a page token. Names have no '@'.
std::string TextOf(const ListPlace& place) {
  return absl::StrCat(place.name, place.pushed ? "@" : "");
}
ListPlace PlaceOf(absl::string_view text) {
  const bool pushed = absl::ConsumeSuffix(&text, "@");
  return {std::string(text), pushed};
}

// What follows a place: as many pushed ones as fit into a page and one more, and all of the
// server's folders, not described yet.
absl::StatusOr<std::map<ListPlace, v1::Dataset>> Following(const DatasetService::Dependencies& with,
                                                           const ListPlace& after, int page_size) {
  // '-' is the first of the characters that a name may go on with.
  auto pushed = with.pushed->ListDatasets(after.pushed ? absl::StrCat(after.name, "-") : after.name,
                                          page_size);
  if (!pushed.ok()) return pushed.status();
  std::map<ListPlace, v1::Dataset> following;
  for (v1::Dataset& dataset : *pushed) {
    const auto reference = jobs::ParseDatasetName(dataset.name());
    if (reference.ok()) following[{reference->dataset, true}] = std::move(dataset);
  }
  for (const std::string& name : with.catalog->Names()) {
    if (ListPlace place{name, false}; after < place) following[std::move(place)];
  }
  return following;
}

absl::StatusOr<v1::ListDatasetsResponse> List(const DatasetService::Dependencies& with,
                                              const v1::ListDatasetsRequest& request) {
  const auto page = jobs::ResolvePageSize(request.page_size(), kDefaultPage, kMaxPage);
  if (!page.ok()) return page.status();
  const auto position = jobs::ReadPageToken(kListScope, request.page_token());
  if (!position.ok()) return position.status();
  ListPlace last = PlaceOf(*position);
  auto following = Following(with, last, *page);
  if (!following.ok()) return following.status();
  const absl::Time deadline = absl::Now() + kPatienceWithAll;
  v1::ListDatasetsResponse answer;
  jobs::PageRoom room(*page);
  for (auto& [place, dataset] : *following) {
    if (!place.pushed) dataset = DescribeFolder(with.catalog, place.name, deadline);
    if (!room.Take(dataset.ByteSizeLong())) {
      answer.set_next_page_token(jobs::MakePageToken(kListScope, TextOf(last)));
      break;
    }
    last = place;
    *answer.add_datasets() = std::move(dataset);
  }
  return answer;
}

absl::StatusOr<v1::Dataset> Get(const DatasetService::Dependencies& with, const std::string& name) {
  const auto reference = jobs::ParseDatasetName(name);
  if (!reference.ok()) return reference.status();
  if (!IsFolder(with, *reference)) return FindPushed(with, *reference);
  return DescribeFolder(with.catalog, reference->dataset, absl::Now() + kPatience);
}

absl::StatusOr<google::protobuf::Empty> Delete(const DatasetService::Dependencies& with,
                                               const access::Caller& caller,
                                               const v1::DeleteDatasetRequest& request) {
  const auto reference = jobs::ParseDatasetName(request.name());
  if (!reference.ok()) return reference.status();
  absl::Status status;
  if (IsFolder(with, *reference)) {
    status = CheckNotFolder(with, absl::StatusCode::kFailedPrecondition, reference->dataset);
  }
  if (status.ok()) status = FindPushed(with, *reference).status();
  if (status.ok()) status = CheckOwnDataset(with.pushed, caller, *reference);
  if (status.ok()) status = with.controller->DeleteDataset(*reference, request.force());
  if (!status.ok()) return status;
  return google::protobuf::Empty();
}

absl::StatusOr<google::protobuf::Empty> Delete(const DatasetService::Dependencies& with,
                                               const access::Caller& caller,
                                               const v1::DeleteUploadRequest& request) {
  const auto id = jobs::ParseUploadName(request.name());
  if (!id.ok()) return id.status();
  absl::Status status = CheckOwnUpload(with.uploads, caller, *id);
  if (status.ok()) status = with.uploads->Remove(*id);
  if (!status.ok()) return status;
  return google::protobuf::Empty();
}

absl::StatusOr<v1::TrainingJob> Import(const DatasetService::Dependencies& with,
                                       const access::Caller& caller,
                                       const v1::ImportDatasetRequest& request) {
  const auto id = jobs::ParseUploadName(request.upload(), "upload");
  if (!id.ok()) return id.status();
  // Before the upload, which is removed once it was imported.
  auto repeat = with.controller->FindImport(request, caller.name);
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  if (auto status = CheckOwnUpload(with.uploads, caller, *id); !status.ok()) return status;
  return with.uploads->Import(*id, [&](const v1::Upload& upload) {
    return with.controller->StartImport(request, upload, caller.name);
  });
}

}  // namespace

grpc::ServerUnaryReactor* DatasetService::ListDatasets(grpc::CallbackServerContext* context,
                                                       const v1::ListDatasetsRequest* request,
                                                       v1::ListDatasetsResponse* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return List(with_, *request); });
}

grpc::ServerUnaryReactor* DatasetService::GetDataset(grpc::CallbackServerContext* context,
                                                     const v1::GetDatasetRequest* request,
                                                     v1::Dataset* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return Get(with_, request->name()); });
}

grpc::ServerUnaryReactor* DatasetService::GetImages(grpc::CallbackServerContext* context,
                                                    const v1::GetImagesRequest* request,
                                                    v1::GetImagesResponse* response) {
  return RunUnary(context, with_.tasks, response, [this, request] {
    return ReadImages(*request, [&] { return Open(with_, request->name()); });
  });
}

grpc::ServerUnaryReactor* DatasetService::GetImageSheet(grpc::CallbackServerContext* context,
                                                        const v1::GetImageSheetRequest* request,
                                                        v1::ImageSheet* response) {
  return RunUnary(context, with_.tasks, response, [this, request] {
    return DrawSheet(*request, [&] { return Open(with_, request->name()); });
  });
}

grpc::ServerUnaryReactor* DatasetService::DeleteDataset(grpc::CallbackServerContext* context,
                                                        const v1::DeleteDatasetRequest* request,
                                                        google::protobuf::Empty* response) {
  return RunUnary(context, with_.tasks, response, [this, request, caller = CallerOf(*context)] {
    return Delete(with_, *caller, *request);
  });
}

grpc::ServerUnaryReactor* DatasetService::CreateUpload(grpc::CallbackServerContext* context,
                                                       const v1::CreateUploadRequest* request,
                                                       v1::Upload* response) {
  return RunUnary(context, with_.upload_tasks, response,
                  [this, request, caller = CallerOf(*context)] {
                    return AnnounceUpload(with_, *request, caller->name);
                  });
}

grpc::ServerUnaryReactor* DatasetService::GetUpload(grpc::CallbackServerContext* context,
                                                    const v1::GetUploadRequest* request,
                                                    v1::Upload* response) {
  return RunUnary(context, with_.upload_tasks, response,
                  [this, request]() -> absl::StatusOr<v1::Upload> {
                    const auto id = jobs::ParseUploadName(request->name());
                    if (!id.ok()) return id.status();
                    return with_.uploads->Get(*id);
                  });
}

grpc::ServerReadReactor<v1::WriteUploadRequest>* DatasetService::WriteUpload(
    grpc::CallbackServerContext* context, v1::Upload* response) {
  return UploadReactor::Start(
      {.uploads = with_.uploads, .tasks = with_.upload_tasks, .streams = with_.streams}, context,
      response);
}

grpc::ServerUnaryReactor* DatasetService::DeleteUpload(grpc::CallbackServerContext* context,
                                                       const v1::DeleteUploadRequest* request,
                                                       google::protobuf::Empty* response) {
  return RunUnary(
      context, with_.upload_tasks, response,
      [this, request, caller = CallerOf(*context)] { return Delete(with_, *caller, *request); });
}

grpc::ServerUnaryReactor* DatasetService::CheckDataset(grpc::CallbackServerContext* context,
                                                       const v1::CheckDatasetRequest* request,
                                                       v1::TrainingJob* response) {
  return RunUnary(context, with_.tasks, response, [this, request, caller = CallerOf(*context)] {
    return with_.controller->StartCheck(*request, caller->name);
  });
}

grpc::ServerUnaryReactor* DatasetService::ImportDataset(grpc::CallbackServerContext* context,
                                                        const v1::ImportDatasetRequest* request,
                                                        v1::TrainingJob* response) {
  return RunUnary(
      context, with_.upload_tasks, response,
      [this, request, caller = CallerOf(*context)] { return Import(with_, *caller, *request); });
}

}  // namespace atelier::rpc
