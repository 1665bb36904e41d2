// Looks into models: pictures and numbers of the filters they have learned, of what their blocks
// make of an image, and of why they answer as they do. Works on the weights as they were trained,
// read from a version's archive, beside the versions that classify: looking at one neither loads it
// there nor pushes another out.
#ifndef ATELIER_SERVER_VIEWS_MODEL_VIEWER_H_
#define ATELIER_SERVER_VIEWS_MODEL_VIEWER_H_

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "models/archive/explanation.h"
#include "models/archive/feature_maps.h"
#include "models/files/file_identity.h"
#include "models/network/trained_model.h"
#include "models/pictures/tiled_picture.h"
#include "server/serving/image_input.h"
#include "server/serving/version_source.h"

namespace atelier::views {

struct FiltersRequest {
  std::string model = {};
  std::string reference = {};  // A version's number, an alias, or empty for the latest.
  std::int64_t layer = 0;      // From 1; 0 for the first.
  std::int64_t zoom = 0;       // 1 to kMaxZoom, 0 for the default.
  bool values = true;
};

struct FiltersResult {
  serving::Version version;
  std::int64_t layer = 0;
  std::int64_t layers = 0;      // That the model has.
  models::NamedTensor filters;  // Without values unless they were asked for.
  float scale = 0;              // Their largest magnitude: white in the picture.
  bool color = false;           // Whether a tile shows red, green and blue of a filter.
  models::TiledPicture picture;
};

struct FeatureMapsRequest {
  std::string model = {};
  std::string reference = {};
  serving::ImageInput image = {};  // One; what it views must stay until the answer is there.
  std::int64_t block = 0;          // From 1; 0 for all.
  std::int64_t zoom = 0;
  bool values = false;                    // Whether they must be few enough to be sent.
  models::StillWanted still_wanted = {};  // While the image is decoded.
};

struct FeatureMapsResult {
  struct Map {
    models::FeatureMap map;
    models::TiledPicture picture;
  };
  serving::Version version;
  std::int64_t blocks = 0;  // That the model has.
  std::vector<Map> maps;
};

struct ExplainRequest {
  enum class Method { kGradCam, kOcclusion };

  std::string model = {};
  std::string reference = {};
  serving::ImageInput image = {};  // One; what it views must stay until the answer is there.
  Method method = Method::kGradCam;
  std::string target = {};  // A class's name or index; empty for the most probable class.
  std::int64_t block = 0;   // Of Grad-CAM, from 1; 0 for the last.
  std::int64_t window = 0;  // Of occlusion, 1 to the image's shorter edge; 0 for the default.
  std::int64_t stride = 0;  // Of occlusion, 1 to the window; 0 for the default.
  std::int64_t zoom = 0;
  bool values = false;                    // Whether they must be few enough to be sent.
  models::StillWanted still_wanted = {};  // While the image is decoded, and between batches.
};

struct ExplainResult {
  serving::Version version;
  std::vector<std::string> class_names;
  ExplainRequest::Method method;
  std::int64_t blocks = 0;    // That the model has.
  std::int64_t block = 0;     // Of Grad-CAM.
  models::Occluder occluder;  // Of occlusion.
  models::Explanation explanation;
  models::HeatOverlay overlay;
};

// Thread-safe. Its functions wait for the disk and compute, on the calling thread alone, for up to
// seconds. Errors: the source's; serving::InputError (input_error.h); UNAVAILABLE if the version's
// archive is missing, damaged or not the one that was stored; FAILED_PRECONDITION if the model has
// no convolutions; RESOURCE_EXHAUSTED if memory runs out.
class ModelViewer {
 public:
  static constexpr std::int64_t kMaxZoom = 32;
  // Numbers of one answer: 2 MiB.
  static constexpr std::int64_t kMaxValues = std::int64_t{2 << 20} / 4;
  // Of all pictures of an answer together, which is then below 4 MiB.
  static constexpr std::int64_t kMaxPixels = 1'500'000;

  // `source` must outlive the viewer, which keeps at most `max_kept` networks in memory.
  explicit ModelViewer(serving::VersionSource* source, std::size_t max_kept = 2)
      : source_(source), max_kept_(max_kept) {}

  absl::StatusOr<FiltersResult> Filters(const FiltersRequest& request);
  absl::StatusOr<FeatureMapsResult> FeatureMaps(const FeatureMapsRequest& request);
  // By occlusion also where there are no convolutions.
  absl::StatusOr<ExplainResult> Explain(const ExplainRequest& request);

 private:
  // Of an archive.
  struct Contents {
    models::TrainedModel network;
    std::vector<std::string> class_names;
  };
  struct Kept {
    serving::Version version;
    models::FileIdentity file;
    std::shared_ptr<const Contents> contents;
  };

  static absl::StatusOr<std::shared_ptr<const Contents>> Read(const serving::Version& version);

  // The version that is asked for, and what its archive holds.
  absl::StatusOr<Kept> Open(const std::string& model, const std::string& reference);

  serving::VersionSource* const source_;
  const std::size_t max_kept_;

  absl::Mutex mutex_;
  std::list<Kept> kept_ ABSL_GUARDED_BY(mutex_);  // Most recently used first.
};

}  // namespace atelier::views

#endif  // ATELIER_SERVER_VIEWS_MODEL_VIEWER_H_
