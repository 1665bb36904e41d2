// How images are standardised (Network.standardization): from each channel of pixels in [0,1] a
// number is subtracted, and the rest is multiplied by another. Values and pure functions; no
// LibTorch.
#ifndef ATELIER_MODELS_NETWORK_STANDARDIZATION_H_
#define ATELIER_MODELS_NETWORK_STANDARDIZATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "atelier/v1/network.pb.h"
#include "models/data/dataset.h"

namespace atelier::models {

// Of one channel.
struct ChannelScale {
  float mean = 0;
  // One over the deviation.
  float factor = 1;

  float Apply(float pixel) const { return (pixel - mean) * factor; }

  friend bool operator==(const ChannelScale&, const ChannelScale&) = default;
};

// By channel; empty if the network does not standardise.
std::vector<ChannelScale> ChannelScalesOf(const v1::Network& network);

// Whether numbers standardise images of so many channels; what is wrong with them, empty if
// nothing is. Requires that the network has some.
std::string StandardizationProblem(const v1::Network& network, int64_t channels);

// The mean and deviation of each channel over the training split, without the validation images
// that the data set brings. A deviation below the least that is allowed, as of a constant channel,
// becomes 1.
v1::Standardization StandardizationOf(const Dataset& dataset);

// A sentence if the network has those of the data set and one of its channels is constant or nearly
// so; else empty.
std::string StandardizationWarning(const v1::Network& network, const Dataset& dataset);

// What it does, for people: `mean 0.286; deviation 0.353`.
std::string StandardizationPhrase(const v1::Standardization& standardization);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_STANDARDIZATION_H_
