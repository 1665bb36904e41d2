// What a report shows of the inside of models: of one its filters, and its feature maps of one test
// image per class; of each that it looks at, why it took an image for another class. Fetched from
// the server. Used by one thread.
#ifndef ATELIER_CLIENT_REPORT_MODEL_PICTURES_H_
#define ATELIER_CLIENT_REPORT_MODEL_PICTURES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "atelier/v1/job.pb.h"
#include "atelier/v1/model_service.pb.h"
#include "client/calls/session.h"

namespace atelier::client::report {

// A test image and its feature maps.
struct ClassPicture {
  std::string class_name;
  std::int64_t index = 0;  // Of the test image.
  std::string png;
  std::vector<v1::FeatureMap> maps;
};

struct ModelPictures {
  std::string job;            // `jobs/{job}`.
  std::string model_version;  // `models/{model}/versions/{version}`.
  v1::Filters filters;        // Of the first layer.
  int blocks = 0;             // Of which some are shown.
  // In the order of the classes; none if the server no longer has the data set.
  std::vector<ClassPicture> classes;
};

// Classes of which an image is shown.
inline constexpr int kMaxPictureClasses = 20;

// True if the page can do without the answer and tells so: the model or the data set was deleted,
// cannot be read, or has no such thing; or the server is older than the call.
bool CanBeMissing(const absl::Status& status);

// Of the first of the jobs whose model is there and has convolutions; nothing if there is none. Of
// blocks in a row whose maps have the same size only the last is kept.
absl::StatusOr<std::optional<ModelPictures>> GatherModelPictures(
    Session& session, const std::vector<v1::TrainingJob>& jobs);

// The evidence that a model version saw in an image, a PNG file of its size, for the class: by
// Grad-CAM of the last block or, without convolutions, by occlusion, unless `method` says by which.
// Nothing if the version cannot be read or the server is older than the call.
absl::StatusOr<std::optional<v1::Explanation>> GetEvidence(Session& session,
                                                           const std::string& version,
                                                           const std::string& png,
                                                           const std::string& class_name,
                                                           v1::ExplanationMethod method);

}  // namespace atelier::client::report

#endif  // ATELIER_CLIENT_REPORT_MODEL_PICTURES_H_
