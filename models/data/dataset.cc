#include "models/data/dataset.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "models/base/failure.h"
#include "models/data/dataset_folder.h"

namespace atelier::models {
namespace {

absl::Status BadData(absl::string_view message) {
  return Failure(FailureReason::kBadData, message);
}

absl::Status CheckSplit(absl::string_view name, const ImageShape& shape,
                        const LabeledImages& images, size_t classes) {
  if (static_cast<int64_t>(images.pixels.size()) != images.size() * shape.size()) {
    return BadData(absl::StrCat("the ", name, " split has ", images.pixels.size(),
                                " pixel bytes for ", images.size(), " images of ", shape.size()));
  }
  for (int64_t i = 0; i < images.size(); ++i) {
    if (images.labels[i] < classes) continue;
    return BadData(absl::StrCat("label ", images.labels[i], " of image ", i, " of the ", name,
                                " split has no class name; there are ", classes, " (0 to ",
                                classes - 1, ")"));
  }
  return absl::OkStatus();
}

}  // namespace

DatasetDigest::DatasetDigest(const DatasetInfo& info) {
  std::string sizes =
      absl::StrCat(info.shape.channels, "x", info.shape.height, "x", info.shape.width, ",",
                   info.training_images, ",", info.test_images);
  if (info.validation_images > 0) absl::StrAppend(&sizes, ",", info.validation_images);
  sizes.push_back('\n');
  digest_.Update(sizes.data(), sizes.size());
}

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::Load(const std::string& dir,
                                                             const StopSignal* stop) {
  absl::StatusOr<DatasetFolder> folder = DatasetFolder::Open(dir, stop);
  if (!folder.ok()) return folder.status();
  const DatasetInfo& info = folder->info();
  std::vector<uint8_t> bytes;
  bytes.reserve(static_cast<size_t>(info.bytes()));
  const absl::StatusOr<DatasetSummary> summary = folder->Read(
      [&](absl::Span<const uint8_t> piece) {
        bytes.insert(bytes.end(), piece.begin(), piece.end());
        return absl::OkStatus();
      },
      stop);
  if (!summary.ok()) return summary.status();
  return Create(*summary, SharedBytes(std::move(bytes)));
}

absl::StatusOr<DatasetInfo> Dataset::ReadInfo(const std::string& dir) {
  const absl::StatusOr<DatasetFolder> folder = DatasetFolder::Open(dir);
  if (!folder.ok()) return folder.status();
  return folder->info();
}

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::Create(const DatasetSummary& summary,
                                                               const SharedBytes& bytes) {
  const DatasetInfo& info = summary.info;
  if (static_cast<int64_t>(bytes.size()) != info.bytes()) {
    return BadData(absl::StrCat("there are ", bytes.size(), " bytes instead of ", info.bytes()));
  }
  size_t at = 0;
  const auto take = [&](int64_t size) {
    SharedBytes part = bytes.Part(at, static_cast<size_t>(size));
    at += part.size();
    return part;
  };
  const auto take_split = [&](int64_t images) {
    SharedBytes pixels = take(images * info.shape.size());
    const SharedBytes labels = take(images * info.label_bytes());
    return LabeledImages{std::move(pixels), LoadLabels(labels, info.class_names.size())};
  };
  LabeledImages training = take_split(info.training_images);
  LabeledImages test = take_split(info.test_images);
  absl::StatusOr<std::shared_ptr<Dataset>> dataset = Make(
      info.shape, info.class_names, std::move(training), std::move(test), info.validation_images);
  if (!dataset.ok()) return dataset.status();
  if ((*dataset)->checksum_ != summary.checksum) {
    return BadData("the bytes do not have their checksum");
  }
  (*dataset)->warnings_ = summary.warnings;
  return *std::move(dataset);
}

absl::StatusOr<std::shared_ptr<const Dataset>> Dataset::Create(ImageShape shape,
                                                               std::vector<std::string> class_names,
                                                               LabeledImages training,
                                                               LabeledImages test,
                                                               int64_t validation_images) {
  return Make(shape, std::move(class_names), std::move(training), std::move(test),
              validation_images);
}

absl::StatusOr<std::shared_ptr<Dataset>> Dataset::Make(ImageShape shape,
                                                       std::vector<std::string> class_names,
                                                       LabeledImages training, LabeledImages test,
                                                       int64_t validation_images) {
  if (test.size() == 0) return BadData("the test split is empty");
  if (absl::Status status = CheckSplit("training", shape, training, class_names.size());
      !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckSplit("test", shape, test, class_names.size()); !status.ok()) {
    return status;
  }
  if (validation_images < 0 || (validation_images > 0 && validation_images >= training.size())) {
    return BadData(
        absl::StrCat(validation_images, " of ", training.size(),
                     " training images are for validation; at least one has to be left"));
  }
  // The constructor is private: make_shared cannot reach it.
  std::shared_ptr<Dataset> dataset(new Dataset);
  DatasetDigest digest({shape, {}, training.size(), test.size(), validation_images});
  for (const LabeledImages* split : {&training, &test}) {
    digest.Update(absl::MakeConstSpan(split->pixels.data(), split->pixels.size()));
    digest.Update(StoreLabels(split->labels, class_names.size()));
  }
  dataset->checksum_ = digest.Finish();
  dataset->shape_ = shape;
  dataset->class_names_ = std::move(class_names);
  dataset->training_ = std::move(training);
  dataset->test_ = std::move(test);
  dataset->validation_images_ = validation_images;
  return dataset;
}

absl::Span<const uint8_t> Dataset::Image(SplitName name, int64_t index) const {
  return absl::MakeConstSpan(split(name).pixels)
      .subspan(static_cast<size_t>(index * shape_.size()), static_cast<size_t>(shape_.size()));
}

}  // namespace atelier::models
