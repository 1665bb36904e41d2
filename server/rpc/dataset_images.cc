#include "server/rpc/dataset_images.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/data/dataset_splits.h"
#include "models/pictures/image_codec.h"
#include "server/jobs/error.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/conversions.h"
#include "server/views/dataset_catalog.h"
#include "server/views/image_sheet.h"

namespace atelier::rpc {
namespace {

constexpr int kMaxImages = 1000;
constexpr int kMaxSheetSide = 40;
constexpr int kDefaultSheetSide = 10;
// What gRPC's clients accept unless told otherwise.
constexpr std::size_t kMaxAnswerBytes = std::size_t{4} << 20;

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

models::SplitRange RangeOf(v1::DatasetSplit split, const models::DatasetInfo& info) {
  switch (split) {
    case v1::DATASET_SPLIT_TRAINING:
      return models::RangeOf(models::DatasetSplit::kTraining, info);
    case v1::DATASET_SPLIT_VALIDATION:
      return models::RangeOf(models::DatasetSplit::kValidation, info);
    default:
      return models::RangeOf(models::DatasetSplit::kTest, info);
  }
}

absl::Status WrongIndex(std::int64_t index, const models::SplitRange& range) {
  return jobs::InvalidField(
      "indices", range.count == 0 ? std::string("The data set has no such split.")
                                  : absl::StrCat("The index is ", index, "; it must be 0 to ",
                                                 range.count - 1, "."));
}

absl::StatusOr<v1::LabeledImage> MakeImage(const models::DatasetFile& dataset,
                                           const models::SplitRange& range, std::int64_t index,
                                           bool png) {
  const models::DatasetInfo& info = dataset.summary().info;
  if (index < 0 || index >= range.count) return WrongIndex(index, range);
  const auto read = dataset.ReadImage(range.stored_in, range.begin + index);
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

}  // namespace

absl::Status Unreadable(const absl::Status& why) {
  if (views::DatasetCatalog::IsOfFiles(why)) {
    return jobs::Error(absl::StatusCode::kFailedPrecondition, "BAD_DATA", why.message());
  }
  return jobs::Error(absl::StatusCode::kUnavailable, "DATASET_UNAVAILABLE", why.message());
}

absl::StatusOr<v1::GetImagesResponse> ReadImages(const v1::GetImagesRequest& request,
                                                 OpenFile open) {
  if (const absl::Status status = CheckRequest(request); !status.ok()) return status;
  const auto dataset = open();
  if (!dataset.ok()) return dataset.status();
  v1::GetImagesResponse response;
  const models::DatasetInfo& info = dataset->file.summary().info;
  const models::SplitRange range = RangeOf(request.split(), info);
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

absl::StatusOr<v1::ImageSheet> DrawSheet(const v1::GetImageSheetRequest& request, OpenFile open) {
  if (const absl::Status status = CheckRequest(request); !status.ok()) return status;
  const auto dataset = open();
  if (!dataset.ok()) return dataset.status();
  const models::DatasetInfo& info = dataset->file.summary().info;
  v1::ImageSheet response;
  response.set_dataset(dataset->name);
  response.set_split(request.split() != v1::DATASET_SPLIT_UNSPECIFIED ? request.split()
                     : info.test_images > 0                           ? v1::DATASET_SPLIT_TEST
                                                                      : v1::DATASET_SPLIT_TRAINING);
  const models::SplitRange range = RangeOf(response.split(), info);
  if (range.count == 0) return jobs::InvalidField("split", "The data set has no such split.");
  views::SheetRequest sheet = {
      .split = range.stored_in, .begin = range.begin, .count = range.count};
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

}  // namespace atelier::rpc
