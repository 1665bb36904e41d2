// Why a network answers as it does: where in an image the evidence for a class is. Thread-safe:
// free functions, each computing on the calling thread alone.
#ifndef ATELIER_MODELS_ARCHIVE_EXPLANATION_H_
#define ATELIER_MODELS_ARCHIVE_EXPLANATION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "models/base/pixel_span.h"
#include "models/network/trained_model.h"
#include "models/pictures/heat_overlay.h"
#include "models/pictures/image_codec.h"

namespace atelier::models {

struct Explanation {
  // The network's answer, of all classes.
  std::vector<float> probabilities;
  // The class that is explained.
  int64_t target = 0;
  // As the method defines it.
  HeatMap heat;
  // The same as it lies over the image.
  HeatMap drawn;
};

// Gradient-weighted class activation mapping: R. R. Selvaraju et al., "Grad-CAM: Visual
// Explanations from Deep Networks via Gradient-based Localization", ICCV 2017. The heat map is
// ReLU(Σₖ αₖ Aᵏ), where Aᵏ are the feature maps after the block and αₖ is the mean over their
// pixels of the gradient of the class's logit. `target` absent stands for the most probable class.
// Requires a valid model, the pixels of one image of its size, a block from 1 to the number of its
// convolutions and a class it has. FailureReason kOutOfMemory, kInternal.
absl::StatusOr<Explanation> GradCam(const TrainedModel& model, const PixelSpan& image,
                                    int64_t block, std::optional<int64_t> target);

// The square that covers a part of an image, in pixels.
struct Occluder {
  // Edge; at most the image's shorter edge.
  int64_t window = 1;
  // From one position to the next, 1 to `window`.
  int64_t stride = 1;
};

// Positions of the square along an edge: `stride` apart, and a last one at its end.
int64_t OccluderPositions(int64_t extent, const Occluder& occluder);

// Positions for which `Occlusion` computes an image each, at most: 4,096, or as many as take 10¹¹
// multiply-adds, but 64 at least.
int64_t MaxOccluderPositions(const Architecture& architecture);

// Occlusion sensitivity: M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional
// Networks", ECCV 2014. The heat map has a number for each position: how far the probability of the
// class falls when the square there has the image's mean, each channel's own. Over the image each
// pixel has the mean of the positions that cover it. `still_wanted` is asked while it computes, and
// its error is the answer. Requirements and errors as GradCam; no more positions than allowed.
absl::StatusOr<Explanation> Occlusion(const TrainedModel& model, const PixelSpan& image,
                                      const Occluder& occluder, std::optional<int64_t> target,
                                      const StillWanted& still_wanted = {});

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_EXPLANATION_H_
