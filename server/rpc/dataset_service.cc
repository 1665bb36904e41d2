#include "server/rpc/dataset_service.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "models/pictures/image_codec.h"
#include "server/jobs/error.h"
#include "server/rpc/conversions.h"
#include "server/rpc/unary.h"

namespace atelier::rpc {
namespace {

constexpr int kMaxImages = 1000;
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

// The name in `datasets/{dataset}` if there is such a data set.
absl::StatusOr<std::string> Find(const views::DatasetCatalog& catalog, const std::string& name) {
  auto dataset = ParseDatasetName(name);
  if (!dataset.ok()) return dataset.status();
  if (!catalog.Directory(*dataset).has_value()) {
    return jobs::Error(absl::StatusCode::kNotFound, "DATASET_NOT_FOUND",
                       absl::StrCat("There is no data set '", *dataset,
                                    "'; there are: ", absl::StrJoin(catalog.Names(), ", "), "."));
  }
  return *std::move(dataset);
}

v1::Dataset Describe(views::DatasetCatalog* catalog, const std::string& name, absl::Time deadline) {
  const auto info = catalog->Info(name);
  v1::Dataset dataset = info.ok() ? ToProto(*info) : v1::Dataset();
  dataset.set_name(DatasetName(name));
  if (!info.ok()) {
    // Where the headers are wrong the rest need not be read.
    dataset.set_problem(std::string(info.status().message()));
    return dataset;
  }
  const auto summary = catalog->Summary(name, deadline - absl::Now());
  if (!summary.has_value()) {
    dataset.add_warnings("Its files are still being read; request the checksum again later.");
  } else if (!summary->ok()) {
    dataset.set_problem(std::string(summary->status().message()));
  } else {
    dataset.set_checksum((*summary)->checksum);
    dataset.mutable_warnings()->Add((*summary)->warnings.begin(), (*summary)->warnings.end());
  }
  return dataset;
}

absl::Status CheckRequest(const v1::GetImagesRequest& request) {
  std::vector<jobs::FieldViolation> wrong;
  if (!v1::DatasetSplit_IsValid(request.split())) {
    wrong.push_back({"split", absl::StrCat("The split is ", static_cast<int>(request.split()),
                                           "; it must be DATASET_SPLIT_TRAINING (1) or "
                                           "DATASET_SPLIT_TEST (2).")});
  }
  if (request.indices().empty() || request.indices_size() > kMaxImages) {
    wrong.push_back({"indices", absl::StrCat("There are ", request.indices_size(),
                                             " indices; there must be 1 to ", kMaxImages, ".")});
  }
  return jobs::InvalidFields(wrong);
}

absl::StatusOr<v1::LabeledImage> MakeImage(const models::DatasetFile& dataset,
                                           models::SplitName split, std::int64_t index, bool png) {
  const models::DatasetInfo& info = dataset.summary().info;
  const std::int64_t count =
      split == models::SplitName::kTraining ? info.training_images : info.test_images;
  if (index < 0 || index >= count) {
    return jobs::InvalidField(
        "indices", absl::StrCat("The index is ", index, "; it must be 0 to ", count - 1, "."));
  }
  const auto read = dataset.ReadImage(split, index);
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

absl::StatusOr<v1::GetImagesResponse> GetImagesOf(views::DatasetCatalog* catalog,
                                                  const v1::GetImagesRequest& request) {
  const auto name = Find(*catalog, request.name());
  if (!name.ok()) return name.status();
  if (const absl::Status status = CheckRequest(request); !status.ok()) return status;
  const auto dataset = catalog->Open(*name, kPatience);
  if (!dataset.ok()) return Unreadable(dataset.status());
  const bool training = request.split() == v1::DATASET_SPLIT_TRAINING;
  const auto split = training ? models::SplitName::kTraining : models::SplitName::kTest;
  v1::GetImagesResponse response;
  const models::DatasetInfo& info = dataset->summary().info;
  *response.mutable_image_shape() = ToProto(info.shape);
  response.mutable_class_names()->Add(info.class_names.begin(), info.class_names.end());
  std::size_t bytes = response.ByteSizeLong();
  for (const std::int64_t index : request.indices()) {
    auto image = MakeImage(*dataset, split, index, request.png());
    if (!image.ok()) return image.status();
    // With the field's number and its length.
    bytes += image->ByteSizeLong() + 6;
    if (bytes > kMaxAnswerBytes && response.images_size() > 0) return TooLarge(request, response);
    *response.add_images() = *std::move(image);
  }
  return response;
}

}  // namespace

grpc::ServerUnaryReactor* DatasetService::ListDatasets(grpc::CallbackServerContext* context,
                                                       const v1::ListDatasetsRequest* /*request*/,
                                                       v1::ListDatasetsResponse* response) {
  return RunUnary(context, tasks_, response, [this]() -> absl::StatusOr<v1::ListDatasetsResponse> {
    v1::ListDatasetsResponse answer;
    const absl::Time deadline = absl::Now() + kPatienceWithAll;
    for (const std::string& name : catalog_->Names()) {
      *answer.add_datasets() = Describe(catalog_, name, deadline);
    }
    return answer;
  });
}

grpc::ServerUnaryReactor* DatasetService::GetDataset(grpc::CallbackServerContext* context,
                                                     const v1::GetDatasetRequest* request,
                                                     v1::Dataset* response) {
  return RunUnary(context, tasks_, response, [this, request]() -> absl::StatusOr<v1::Dataset> {
    const auto name = Find(*catalog_, request->name());
    if (!name.ok()) return name.status();
    return Describe(catalog_, *name, absl::Now() + kPatience);
  });
}

grpc::ServerUnaryReactor* DatasetService::GetImages(grpc::CallbackServerContext* context,
                                                    const v1::GetImagesRequest* request,
                                                    v1::GetImagesResponse* response) {
  return RunUnary(context, tasks_, response,
                  [this, request] { return GetImagesOf(catalog_, *request); });
}

}  // namespace atelier::rpc
