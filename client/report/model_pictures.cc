#include "client/report/model_pictures.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/calls/arguments.h"

namespace atelier::client::report {
namespace {

// Test images that are searched for one of each class, and what their pixels may take: an answer
// has 4 MiB at most.
constexpr std::int64_t kMaxSearched = 1000;
constexpr std::int64_t kMaxSearchedBytes = 3 << 20;

// All calls here are made so: the session would make the pictures' bytes readable.
template <typename Service, typename Request, typename Response>
absl::StatusOr<Response> CallRaw(Session& session,
                                 grpc::Status (Service::*method)(grpc::ClientContext*,
                                                                 const Request&, Response*),
                                 const Request& request) {
  if (session.interrupted()) return absl::CancelledError("Interrupted; no report was written.");
  auto connection = session.Connect();
  if (!connection.ok()) return connection.status();
  return (*connection)->Call(method, request);
}

absl::StatusOr<v1::Filters> GetFirstFilters(Session& session, const std::string& version) {
  v1::GetFiltersRequest request;
  request.set_name(version);
  request.set_zoom(8);
  request.set_values(false);
  return CallRaw(session, &ModelService::GetFilters, request);
}

// The first test image of each class, raw, among those that are searched.
absl::StatusOr<v1::GetImagesResponse> FirstOfEachClass(Session& session,
                                                       const v1::Dataset& dataset) {
  const v1::ImageShape& shape = dataset.image_shape();
  const std::int64_t bytes =
      std::max<std::int64_t>(std::int64_t{shape.channels()} * shape.height() * shape.width(), 1);
  const std::int64_t searched =
      std::min({dataset.test_images(), kMaxSearched, std::max(kMaxSearchedBytes / bytes, 1L)});
  v1::GetImagesRequest request;
  request.set_name(dataset.name());
  for (std::int64_t i = 0; i < searched; ++i) request.add_indices(i);
  auto all = CallRaw(session, &DatasetService::GetImages, request);
  if (!all.ok()) return all.status();
  std::map<int, const v1::LabeledImage*> first;
  for (const v1::LabeledImage& image : all->images()) first.emplace(image.label(), &image);
  v1::GetImagesResponse chosen;
  *chosen.mutable_class_names() = all->class_names();
  for (const auto& [label, image] : first) {
    if (chosen.images_size() < kMaxPictureClasses) *chosen.add_images() = *image;
  }
  return chosen;
}

// Leaves out what looks much like the block after it.
std::vector<v1::FeatureMap> LastOfEachSize(const v1::FeatureMaps& all) {
  std::vector<v1::FeatureMap> kept;
  for (const v1::FeatureMap& map : all.maps()) {
    const auto same = [&](const v1::ImageShape& other) {
      return other.channels() == map.shape().channels() && other.height() == map.shape().height() &&
             other.width() == map.shape().width();
    };
    if (!kept.empty() && same(kept.back().shape())) kept.pop_back();
    kept.push_back(map);
  }
  return kept;
}

absl::Status AddClasses(Session& session, const v1::TrainingJob& job, ModelPictures* pictures) {
  v1::GetDatasetRequest wanted;
  wanted.set_name(DatasetName(job.spec().dataset()).value_or(""));
  const auto dataset = CallRaw(session, &DatasetService::GetDataset, wanted);
  if (!dataset.ok()) return dataset.status();
  const auto raw = FirstOfEachClass(session, *dataset);
  if (!raw.ok()) return raw.status();
  v1::GetImagesRequest request;
  request.set_name(dataset->name());
  request.set_png(true);
  for (const v1::LabeledImage& image : raw->images()) request.add_indices(image.index());
  const auto files = CallRaw(session, &DatasetService::GetImages, request);
  if (!files.ok()) return files.status();
  for (int i = 0; i < std::min(raw->images_size(), files->images_size()); ++i) {
    v1::GetFeatureMapsRequest of_image;
    of_image.set_name(pictures->model_version);
    // The page enlarges them.
    of_image.set_zoom(1);
    of_image.mutable_raw()->set_pixels(raw->images(i).data());
    const auto maps = CallRaw(session, &ModelService::GetFeatureMaps, of_image);
    if (!maps.ok()) return maps.status();
    const int label = raw->images(i).label();
    const bool named = label >= 0 && label < raw->class_names_size();
    pictures->blocks = maps->block_count();
    pictures->classes.push_back({named ? raw->class_names(label) : absl::StrCat("class ", label),
                                 raw->images(i).index(), files->images(i).data(),
                                 LastOfEachSize(*maps)});
  }
  return absl::OkStatus();
}

}  // namespace

bool CanBeMissing(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsNotFound(status) ||
         absl::IsInvalidArgument(status) || absl::IsUnavailable(status) ||
         absl::IsUnimplemented(status);
}

absl::StatusOr<std::optional<ModelPictures>> GatherModelPictures(
    Session& session, const std::vector<v1::TrainingJob>& jobs) {
  for (const v1::TrainingJob& job : jobs) {
    const std::string& version = job.result().model_version();
    if (version.empty()) continue;
    auto filters = GetFirstFilters(session, version);
    if (!filters.ok() && CanBeMissing(filters.status())) continue;
    if (!filters.ok()) return filters.status();
    ModelPictures pictures{job.name(), version, *std::move(filters), 0, {}};
    const absl::Status added = AddClasses(session, job, &pictures);
    if (!added.ok() && !CanBeMissing(added)) return added;
    return pictures;
  }
  return std::nullopt;
}

absl::StatusOr<std::optional<v1::Explanation>> GetEvidence(Session& session,
                                                           const std::string& version,
                                                           const std::string& png,
                                                           const std::string& class_name,
                                                           v1::ExplanationMethod method) {
  v1::ExplainRequest request;
  request.set_method(method);
  request.set_name(version);
  request.mutable_encoded()->add_files(png);
  request.mutable_encoded()->set_resize(v1::RESIZE_NONE);
  request.set_target_class(class_name);
  // Shown not much larger than the image.
  request.set_zoom(2);
  auto explanation = CallRaw(session, &ModelService::Explain, request);
  if (absl::IsFailedPrecondition(explanation.status())) {
    request.set_method(v1::EXPLANATION_METHOD_OCCLUSION);
    explanation = CallRaw(session, &ModelService::Explain, request);
  }
  if (explanation.ok()) return *std::move(explanation);
  if (CanBeMissing(explanation.status())) return std::nullopt;
  return explanation.status();
}

}  // namespace atelier::client::report
