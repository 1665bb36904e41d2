#include "models/network/standardization.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "google/protobuf/util/message_differencer.h"
#include "models/data/dataset_statistics.h"

namespace atelier::models {
namespace {

using Numbers = google::protobuf::RepeatedField<float>;

constexpr float kLeastDeviation = 0.001F;

// Of channels that are named in a sentence, counted from 1.
std::vector<int> ConstantChannels(const v1::Standardization& standardization) {
  std::vector<int> channels;
  for (int c = 0; c < standardization.deviation_size(); ++c) {
    if (standardization.deviation(c) == 1) channels.push_back(c + 1);
  }
  return channels;
}

// Written so that NaN is out of every range.
std::string ProblemOf(absl::string_view what, const Numbers& numbers, float least,
                      int64_t channels) {
  if (numbers.size() != channels) {
    return absl::StrCat("standardization has ", numbers.size(), " numbers as ", what,
                        "; it must have ", channels, ", one for each channel");
  }
  for (const float number : numbers) {
    if (number >= least && number <= 1) continue;
    return absl::StrCat("a ", what, " of standardization is ", number, "; it must be ", least,
                        " to 1");
  }
  return "";
}

std::string ListText(const Numbers& numbers) {
  return absl::StrJoin(numbers, ", ", [](std::string* text, float number) {
    absl::StrAppendFormat(text, "%.3f", number);
  });
}

}  // namespace

std::vector<ChannelScale> ChannelScalesOf(const v1::Network& network) {
  const v1::Standardization& standardization = network.standardization();
  std::vector<ChannelScale> scales;
  const int channels = std::min(standardization.mean_size(), standardization.deviation_size());
  for (int c = 0; c < channels; ++c) {
    scales.push_back({standardization.mean(c), 1 / standardization.deviation(c)});
  }
  return scales;
}

std::string StandardizationProblem(const v1::Network& network, int64_t channels) {
  const v1::Standardization& standardization = network.standardization();
  std::string problem = ProblemOf("mean", standardization.mean(), 0, channels);
  if (!problem.empty()) return problem;
  return ProblemOf("deviation", standardization.deviation(), kLeastDeviation, channels);
}

v1::Standardization StandardizationOf(const Dataset& dataset) {
  PixelStatistics statistics(dataset.shape());
  const auto size = static_cast<size_t>(dataset.shape().size());
  const LabeledImages& images = dataset.training();
  const int64_t count = images.size() - dataset.validation_images();
  for (int64_t i = 0; i < count; ++i) {
    statistics.Look({&images.pixels[static_cast<size_t>(i) * size], size});
  }
  v1::Standardization standardization;
  for (const double mean : statistics.Means()) {
    standardization.add_mean(static_cast<float>(mean));
  }
  for (const double value : statistics.Deviations()) {
    const auto deviation = static_cast<float>(value);
    standardization.add_deviation(deviation < kLeastDeviation ? 1 : deviation);
  }
  return standardization;
}

std::string StandardizationWarning(const v1::Network& network, const Dataset& dataset) {
  const std::vector<int> constant = ConstantChannels(network.standardization());
  if (constant.empty()) return "";
  // A deviation of 1 that was given is meant.
  if (!google::protobuf::util::MessageDifferencer::Equals(network.standardization(),
                                                          StandardizationOf(dataset))) {
    return "";
  }
  return absl::StrCat(constant.size() == 1 ? "Channel " : "Channels ",
                      absl::StrJoin(constant, ", "), constant.size() == 1 ? " is" : " are",
                      " the same in all pixels of the training images, or nearly so; "
                      "standardization subtracts the mean there and divides by 1.");
}

std::string StandardizationPhrase(const v1::Standardization& standardization) {
  return absl::StrCat("mean ", ListText(standardization.mean()), "; deviation ",
                      ListText(standardization.deviation()));
}

}  // namespace atelier::models
