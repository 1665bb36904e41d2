#include "server/rpc/dataset_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "models/pictures/image_codec.h"
#include "server/jobs/error.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/conversions.h"
#include "server/rpc/unary.h"
#include "server/rpc/upload_announcement.h"
#include "server/rpc/upload_reactor.h"
#include "server/views/image_sheet.h"

namespace atelier::rpc {
namespace {

constexpr int kMaxImages = 1000;
constexpr int kMaxSheetSide = 40;
constexpr int kDefaultSheetSide = 10;
// What gRPC's clients accept unless told otherwise.
constexpr std::size_t kMaxAnswerBytes = std::size_t{4} << 20;
// How long a call waits for files that are being read for the first time.
constexpr absl::Duration kPatience = absl::Seconds(30);
// As long as a list of all waits for all of them together.
constexpr absl::Duration kPatienceWithAll = absl::Seconds(5);

absl::Status Unreadable(const absl::Status& why) {
  if (views::DatasetCatalog::IsOfFiles(why)) {
    return jobs::Error(absl::StatusCode::kFailedPrecondition, "BAD_DATA", why.message());
  }
  return jobs::Error(absl::StatusCode::kUnavailable, "DATASET_UNAVAILABLE", why.message());
}

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
  if (const auto pushed = with.pushed->ListDatasets(); pushed.ok()) {
    for (const v1::Dataset& dataset : *pushed) {
      const auto name = jobs::ParseDatasetName(dataset.name());
      if (name.ok()) names.push_back(name->dataset);
    }
  }
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

jobs::FieldViolation WrongSplit(v1::DatasetSplit split) {
  return {"split",
          absl::StrCat("The split is ", static_cast<int>(split),
                       "; it must be DATASET_SPLIT_TRAINING (1), DATASET_SPLIT_TEST (2) or "
                       "DATASET_SPLIT_VALIDATION (3).")};
}

absl::Status CheckRequest(const v1::GetImagesRequest& request) {
  std::vector<jobs::FieldViolation> wrong;
  if (!v1::DatasetSplit_IsValid(request.split())) {
    wrong.push_back(WrongSplit(request.split()));
  }
  if (request.indices().empty() || request.indices_size() > kMaxImages) {
    wrong.push_back({"indices", absl::StrCat("There are ", request.indices_size(),
                                             " indices; there must be 1 to ", kMaxImages, ".")});
  }
  return jobs::InvalidFields(wrong);
}

// Where the images of a split are in a data set's file.
struct SplitRange {
  models::SplitName name = models::SplitName::kTest;
  std::int64_t begin = 0;
  std::int64_t count = 0;
};

SplitRange RangeOf(v1::DatasetSplit split, const models::DatasetInfo& info) {
  const std::int64_t training = info.training_images - info.validation_images;
  switch (split) {
    case v1::DATASET_SPLIT_TRAINING:
      return {models::SplitName::kTraining, 0, training};
    case v1::DATASET_SPLIT_VALIDATION:
      return {models::SplitName::kTraining, training, info.validation_images};
    default:
      return {models::SplitName::kTest, 0, info.test_images};
  }
}

absl::Status WrongIndex(std::int64_t index, const SplitRange& range) {
  return jobs::InvalidField(
      "indices", range.count == 0 ? std::string("The data set has no such split.")
                                  : absl::StrCat("The index is ", index, "; it must be 0 to ",
                                                 range.count - 1, "."));
}

absl::StatusOr<v1::LabeledImage> MakeImage(const models::DatasetFile& dataset,
                                           const SplitRange& range, std::int64_t index, bool png) {
  const models::DatasetInfo& info = dataset.summary().info;
  if (index < 0 || index >= range.count) return WrongIndex(index, range);
  const auto read = dataset.ReadImage(range.name, range.begin + index);
  if (!read.ok()) return Unreadable(read.status());
  v1::LabeledImage image;
  image.set_index(index);
  image.set_label(read->label);
  if (!png) {
    image.set_data(read->pixels.data(), read->pixels.size());
    return image;
  }
  auto file = models::EncodePng(models::FromPlanar(info.shape, read->pixels));
  if (!file.ok()) {
    return jobs::Error(absl::StatusCode::kFailedPrecondition, "NO_PICTURE",
                       file.status().message());
  }
  image.set_data(*std::move(file));
  return image;
}

// `response` is what there was room for.
absl::Status TooLarge(const v1::GetImagesRequest& request, const v1::GetImagesResponse& response) {
  return jobs::InvalidField(
      "indices",
      absl::StrCat("There are ", request.indices_size(), " indices, but a response has at most ",
                   kMaxAnswerBytes, " bytes, which the first ", response.images_size(),
                   " of these images fill; request fewer at a time."));
}

// A data set's file, and its resource name.
struct OpenDataset {
  models::DatasetFile file;
  std::string name;
};

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
  auto file = models::DatasetFile::Open(
      with.artifacts->DatasetPath(reference->dataset, dataset->version()));
  if (!file.ok()) return Unreadable(file.status());
  return OpenDataset{*std::move(file), dataset->name()};
}

absl::StatusOr<v1::GetImagesResponse> GetImagesOf(const DatasetService::Dependencies& with,
                                                  const v1::GetImagesRequest& request) {
  if (const absl::Status status = CheckRequest(request); !status.ok()) return status;
  const auto dataset = Open(with, request.name());
  if (!dataset.ok()) return dataset.status();
  v1::GetImagesResponse response;
  const models::DatasetInfo& info = dataset->file.summary().info;
  const SplitRange range = RangeOf(request.split(), info);
  response.set_dataset(dataset->name);
  *response.mutable_image_shape() = ToProto(info.shape);
  response.mutable_class_names()->Add(info.class_names.begin(), info.class_names.end());
  std::size_t bytes = response.ByteSizeLong();
  for (const std::int64_t index : request.indices()) {
    auto image = MakeImage(dataset->file, range, index, request.png());
    if (!image.ok()) return image.status();
    // With the field's number and its length.
    bytes += image->ByteSizeLong() + 6;
    if (bytes > kMaxAnswerBytes && response.images_size() > 0) return TooLarge(request, response);
    *response.add_images() = *std::move(image);
  }
  return response;
}

absl::Status CheckRequest(const v1::GetImageSheetRequest& request) {
  std::vector<jobs::FieldViolation> wrong;
  if (!v1::DatasetSplit_IsValid(request.split())) wrong.push_back(WrongSplit(request.split()));
  const auto check = [&](const char* field, std::int32_t value) {
    if (value >= 0 && value <= kMaxSheetSide) return;
    wrong.push_back({field, absl::StrCat("The number of ", field, " is ", value,
                                         "; it must be 1 to ", kMaxSheetSide, ".")});
  };
  check("columns", request.columns());
  check("rows", request.rows());
  if (request.indices_size() > kMaxSheetSide * kMaxSheetSide) {
    wrong.push_back(
        {"indices", absl::StrCat("There are ", request.indices_size(), " indices; there may be ",
                                 kMaxSheetSide * kMaxSheetSide, ".")});
  }
  if (!request.indices().empty() && !request.class_name().empty()) {
    wrong.push_back({"indices", "Indices and a class name are given; give one of the two."});
  }
  return jobs::InvalidFields(wrong);
}

// The label of a class.
absl::StatusOr<std::int64_t> LabelOf(const std::string& name,
                                     const std::vector<std::string>& class_names) {
  const auto found = std::find(class_names.begin(), class_names.end(), name);
  if (found != class_names.end()) return found - class_names.begin();
  return jobs::InvalidField("class_name",
                            absl::StrCat("There is no class ", jobs::Quoted(name), "; there are ",
                                         jobs::FirstNames(class_names), "."));
}

absl::StatusOr<v1::ImageSheet> DrawSheetOf(const DatasetService::Dependencies& with,
                                           const v1::GetImageSheetRequest& request) {
  if (const absl::Status status = CheckRequest(request); !status.ok()) return status;
  const auto dataset = Open(with, request.name());
  if (!dataset.ok()) return dataset.status();
  const models::DatasetInfo& info = dataset->file.summary().info;
  v1::ImageSheet response;
  response.set_dataset(dataset->name);
  response.set_split(request.split() != v1::DATASET_SPLIT_UNSPECIFIED ? request.split()
                     : info.test_images > 0                           ? v1::DATASET_SPLIT_TEST
                                                                      : v1::DATASET_SPLIT_TRAINING);
  const SplitRange range = RangeOf(response.split(), info);
  if (range.count == 0) return jobs::InvalidField("split", "The data set has no such split.");
  views::SheetRequest sheet = {.split = range.name, .begin = range.begin, .count = range.count};
  if (!request.class_name().empty()) {
    const auto label = LabelOf(request.class_name(), info.class_names);
    if (!label.ok()) return label.status();
    sheet.label = *label;
  }
  for (const std::int64_t index : request.indices()) {
    if (index < 0 || index >= range.count) return WrongIndex(index, range);
    sheet.indices.push_back(index);
  }
  const int default_rows = sheet.label.has_value() ? kDefaultSheetSide : kMaxSheetSide;
  sheet.rows = request.rows() > 0 ? request.rows() : default_rows;
  sheet.columns = request.columns() > 0 ? request.columns() : kDefaultSheetSide;
  auto drawn = views::DrawSheet(dataset->file, sheet);
  if (!drawn.ok()) return Unreadable(drawn.status());
  response.set_png(std::move(drawn->png));
  response.mutable_indices()->Assign(drawn->indices.begin(), drawn->indices.end());
  for (const std::int64_t label : drawn->row_labels) {
    response.add_row_classes(info.class_names[static_cast<std::size_t>(label)]);
  }
  response.set_columns(static_cast<std::int32_t>(sheet.columns));
  response.set_zoom(static_cast<std::int32_t>(drawn->zoom));
  return response;
}

absl::StatusOr<v1::ListDatasetsResponse> List(const DatasetService::Dependencies& with) {
  v1::ListDatasetsResponse answer;
  const absl::Time deadline = absl::Now() + kPatienceWithAll;
  for (const std::string& name : with.catalog->Names()) {
    *answer.add_datasets() = DescribeFolder(with.catalog, name, deadline);
  }
  auto pushed = with.pushed->ListDatasets();
  if (!pushed.ok()) return pushed.status();
  for (v1::Dataset& dataset : *pushed) *answer.add_datasets() = std::move(dataset);
  std::sort(answer.mutable_datasets()->begin(), answer.mutable_datasets()->end(),
            [](const v1::Dataset& a, const v1::Dataset& b) { return a.name() < b.name(); });
  return answer;
}

absl::StatusOr<v1::Dataset> Get(const DatasetService::Dependencies& with, const std::string& name) {
  const auto reference = jobs::ParseDatasetName(name);
  if (!reference.ok()) return reference.status();
  if (!IsFolder(with, *reference)) return FindPushed(with, *reference);
  return DescribeFolder(with.catalog, reference->dataset, absl::Now() + kPatience);
}

absl::StatusOr<google::protobuf::Empty> Delete(const DatasetService::Dependencies& with,
                                               const v1::DeleteDatasetRequest& request) {
  const auto reference = jobs::ParseDatasetName(request.name());
  if (!reference.ok()) return reference.status();
  absl::Status status;
  if (IsFolder(with, *reference)) {
    status = CheckNotFolder(with, absl::StatusCode::kFailedPrecondition, reference->dataset);
  }
  if (status.ok()) status = FindPushed(with, *reference).status();
  if (status.ok()) status = with.controller->DeleteDataset(*reference, request.force());
  if (!status.ok()) return status;
  return google::protobuf::Empty();
}

absl::StatusOr<google::protobuf::Empty> Delete(const DatasetService::Dependencies& with,
                                               const v1::DeleteUploadRequest& request) {
  const auto id = jobs::ParseUploadName(request.name());
  if (!id.ok()) return id.status();
  if (absl::Status status = with.uploads->Remove(*id); !status.ok()) return status;
  return google::protobuf::Empty();
}

absl::StatusOr<v1::TrainingJob> Import(const DatasetService::Dependencies& with,
                                       const v1::ImportDatasetRequest& request) {
  const auto id = jobs::ParseUploadName(request.upload(), "upload");
  if (!id.ok()) return id.status();
  // Before the upload, which is removed once it was imported.
  auto repeat = with.controller->FindImport(request);
  if (!repeat.ok()) return repeat.status();
  if (repeat->has_value()) return **std::move(repeat);
  const auto upload = with.uploads->Complete(*id);
  if (!upload.ok()) return upload.status();
  return with.controller->StartImport(request, *upload);
}

}  // namespace

grpc::ServerUnaryReactor* DatasetService::ListDatasets(grpc::CallbackServerContext* context,
                                                       const v1::ListDatasetsRequest* /*request*/,
                                                       v1::ListDatasetsResponse* response) {
  return RunUnary(context, with_.tasks, response, [this] { return List(with_); });
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
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return GetImagesOf(with_, *request); });
}

grpc::ServerUnaryReactor* DatasetService::GetImageSheet(grpc::CallbackServerContext* context,
                                                        const v1::GetImageSheetRequest* request,
                                                        v1::ImageSheet* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return DrawSheetOf(with_, *request); });
}

grpc::ServerUnaryReactor* DatasetService::DeleteDataset(grpc::CallbackServerContext* context,
                                                        const v1::DeleteDatasetRequest* request,
                                                        google::protobuf::Empty* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return Delete(with_, *request); });
}

grpc::ServerUnaryReactor* DatasetService::CreateUpload(grpc::CallbackServerContext* context,
                                                       const v1::CreateUploadRequest* request,
                                                       v1::Upload* response) {
  return RunUnary(context, with_.upload_tasks, response,
                  [this, request] { return AnnounceUpload(with_, *request); });
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
  return RunUnary(context, with_.upload_tasks, response,
                  [this, request] { return Delete(with_, *request); });
}

grpc::ServerUnaryReactor* DatasetService::CheckDataset(grpc::CallbackServerContext* context,
                                                       const v1::CheckDatasetRequest* request,
                                                       v1::TrainingJob* response) {
  return RunUnary(context, with_.tasks, response,
                  [this, request] { return with_.controller->StartCheck(*request); });
}

grpc::ServerUnaryReactor* DatasetService::ImportDataset(grpc::CallbackServerContext* context,
                                                        const v1::ImportDatasetRequest* request,
                                                        v1::TrainingJob* response) {
  return RunUnary(context, with_.upload_tasks, response,
                  [this, request] { return Import(with_, *request); });
}

}  // namespace atelier::rpc
