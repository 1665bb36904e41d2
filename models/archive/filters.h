// The filters that a network's convolutions have learned, as numbers and as a picture. Thread-safe:
// free functions.
#ifndef ATELIER_MODELS_ARCHIVE_FILTERS_H_
#define ATELIER_MODELS_ARCHIVE_FILTERS_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "models/network/trained_model.h"
#include "models/pictures/tiled_picture.h"

namespace atelier::models {

// Input channels of which tiles are drawn, at most.
inline constexpr int64_t kMaxFilterColumns = 512;

// The weights of a convolution layer, counted from 1: filters × input channels of its
// group × kernel height × kernel width. kOutOfRange, saying which layers there are, if there is no
// such one; kFailedPrecondition if the network has no convolutions. Points into the model, which
// must be valid.
absl::StatusOr<const NamedTensor*> FiltersOf(const TrainedModel& model, int64_t layer);

// The largest magnitude of a tensor's values.
float Magnitude(const NamedTensor& tensor);

// A tile for each filter and input channel, all on one scale on which 0 is middle grey and
// Magnitude(filters) white. With more than one input channel every row is a filter and every column
// an input channel, the first kMaxFilterColumns of them. Requires what FiltersOf gives. `zoom` is
// at least 1. Errors as DrawTiles.
absl::StatusOr<TiledPicture> DrawFilters(const NamedTensor& filters, int64_t zoom,
                                         int64_t max_pixels);

// Whether a layer's filters, as FiltersOf counts them, see red, green and blue themselves: those of
// the first convolution of colour images, if it is not grouped.
bool SeesColors(const TrainedModel& model, int64_t layer);

// A tile for each filter in colour: red, green and blue are its input channels, all on the scale of
// DrawFilters, so that 0 is middle grey. Requires filters of three input channels.
absl::StatusOr<TiledPicture> DrawColorFilters(const NamedTensor& filters, int64_t zoom,
                                              int64_t max_pixels);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_FILTERS_H_
