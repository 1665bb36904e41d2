#include "server/jobs/scoring_request.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/base/class_matching.h"
#include "server/jobs/error.h"
#include "server/jobs/job_resources.h"
#include "server/jobs/resource_names.h"

namespace atelier::jobs {
namespace {

// Of a job without its images.
constexpr std::int64_t kBaseMemory = std::int64_t{2} << 30;
constexpr int kDefaultFolds = 5;
constexpr int kMaxFolds = 20;

// A check holds a copy of the split, and a number for each image and class.
std::int64_t CheckedBytes(std::int64_t images, const DatasetFacts& facts) {
  const v1::ImageShape& shape = facts.image_shape;
  const std::int64_t pixels = std::int64_t{shape.channels()} * shape.height() * shape.width();
  return images * (pixels + std::int64_t{sizeof(float)} * facts.class_count);
}

// What is known of the data set that `name` means; INVALID_ARGUMENT naming `field`.
absl::StatusOr<DatasetFacts> FactsOf(const std::string& name, const char* field,
                                     DatasetSource* datasets) {
  const auto reference = ParseDatasetName(name, field);
  if (!reference.ok()) return reference.status();
  return DescribeUsable(reference->Text(), field, datasets);
}

std::int64_t ImagesOf(v1::DatasetSplit split, const DatasetFacts& facts) {
  switch (split) {
    case v1::DATASET_SPLIT_TRAINING:
      return facts.training_images;
    case v1::DATASET_SPLIT_VALIDATION:
      return facts.validation_images;
    default:
      return facts.test_images;
  }
}

// The split that is meant, which has to have so many images.
absl::StatusOr<v1::DatasetSplit> SplitOf(v1::DatasetSplit asked, v1::DatasetSplit usual,
                                         std::int64_t least, const DatasetFacts& facts) {
  if (!v1::DatasetSplit_IsValid(asked)) {
    return InvalidField("split", absl::StrCat("The split is ", static_cast<int>(asked),
                                              "; it must be training, test or validation."));
  }
  const v1::DatasetSplit split = asked == v1::DATASET_SPLIT_UNSPECIFIED ? usual : asked;
  const std::int64_t images = ImagesOf(split, facts);
  if (images >= least) return split;
  return InvalidField("split", absl::StrCat("The ", EnumWord(v1::DatasetSplit_descriptor(), split),
                                            " split of ", facts.reference, " has ", images,
                                            " images; at least ", least, " are needed."));
}

std::string ShapeText(const v1::ImageShape& shape) {
  return absl::StrCat(shape.channels(), "x", shape.height(), "x", shape.width());
}

absl::Status CheckFits(const DatasetFacts& facts, const v1::ModelVersion& version) {
  const std::string images = ShapeText(facts.image_shape);
  const std::string model = ShapeText(version.image_shape());
  if (images != model) {
    return InvalidField(
        "dataset", absl::StrCat("The images of ", facts.reference, " are ", images, ", those of ",
                                version.name(), " ", model, " (channels x height x width)."));
  }
  const auto matched =
      MatchClasses(facts.class_names, {version.class_names().begin(), version.class_names().end()});
  return matched.ok() ? absl::OkStatus() : InvalidField("dataset", matched.status().message());
}

}  // namespace

absl::StatusOr<v1::EvaluationSpec> ResolveEvaluation(const v1::EvaluateModelRequest& request,
                                                     ModelStore* models, DatasetSource* datasets,
                                                     const SpecResolver::Options& limits) {
  if (auto status = CheckRequestId(request.request_id()); !status.ok()) return status;
  const auto reference = ParseModelName(request.name());
  if (!reference.ok()) return reference.status();
  const auto version = models->ResolveVersion(reference->model, reference->version);
  if (!version.ok()) return version.status();
  const auto facts = FactsOf(request.dataset(), "dataset", datasets);
  if (!facts.ok()) return facts.status();
  const auto split = SplitOf(request.split(), v1::DATASET_SPLIT_TEST, 1, *facts);
  if (!split.ok()) return split.status();
  if (auto status = CheckFits(*facts, *version); !status.ok()) return status;
  v1::EvaluationSpec spec;
  spec.set_model_version(version->name());
  spec.set_sha256(version->sha256());
  spec.set_dataset(facts->reference);
  spec.set_split(*split);
  FillResources(limits, kBaseMemory, &spec);
  return spec;
}

absl::StatusOr<v1::CheckSpec> ResolveCheck(const v1::CheckDatasetRequest& request,
                                           DatasetSource* datasets,
                                           const SpecResolver::Options& limits) {
  if (auto status = CheckRequestId(request.request_id()); !status.ok()) return status;
  const int folds = request.folds() == 0 ? kDefaultFolds : request.folds();
  if (folds < 2 || folds > kMaxFolds) {
    return InvalidField("folds", absl::StrCat("The number of folds is ", folds,
                                              "; it must be 2 to ", kMaxFolds, "."));
  }
  if (request.seed() < 0 || request.seed() > INT32_MAX) {
    return InvalidField(
        "seed", absl::StrCat("The seed is ", request.seed(), "; it must be 0 to ", INT32_MAX, "."));
  }
  const auto facts = FactsOf(request.name(), "name", datasets);
  if (!facts.ok()) return facts.status();
  if (facts->class_count < 2) {
    return InvalidField("name", absl::StrCat("The data set ", facts->reference,
                                             " has one class; labels can be compared with guesses "
                                             "where there are at least two."));
  }
  const v1::DatasetSplit usual =
      facts->training_images > 0 ? v1::DATASET_SPLIT_TRAINING : v1::DATASET_SPLIT_TEST;
  // Every fold has an image, and what is left of two is trained on and validated.
  const auto split = SplitOf(request.split(), usual, std::max(4, folds), *facts);
  if (!split.ok()) return split.status();
  const std::int64_t bytes = CheckedBytes(ImagesOf(*split, *facts), *facts);
  if (limits.memory_bytes > 0 && bytes >= limits.memory_bytes) {
    return InvalidField("name",
                        absl::StrCat("A check of ", facts->reference, " holds ", bytes >> 20,
                                     " MiB of images and probabilities; this server has ",
                                     limits.memory_bytes >> 20, " MiB for jobs."));
  }
  v1::CheckSpec spec;
  spec.set_dataset(facts->reference);
  spec.set_split(*split);
  spec.set_folds(folds);
  spec.set_seed(request.seed());
  FillResources(limits, kBaseMemory + bytes, &spec);
  return spec;
}

}  // namespace atelier::jobs
