#include "models/archive/explanation.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "models/base/exception_guard.h"
#include "models/compute/compile.h"
#include "models/network/torch_library.h"

namespace atelier::models {
namespace {

constexpr int64_t kMostPositions = 4096;
constexpr int64_t kLeastPositions = 64;
constexpr int64_t kMostMultiplyAdds = 100'000'000'000;
// Images that are computed between two questions whether the answer is still wanted.
constexpr int64_t kBatch = 32;

int64_t MostProbable(const std::vector<float>& probabilities) {
  return std::max_element(probabilities.begin(), probabilities.end()) - probabilities.begin();
}

std::vector<float> FloatsOf(const PixelSpan& image) {
  return std::visit(
      [](const auto& pixels) {
        std::vector<float> floats;
        for (const auto pixel : pixels) floats.push_back(ToUnit(pixel));
        return floats;
      },
      image);
}

// ReLU(Σₖ αₖ Aᵏ).
HeatMap WeightedSum(const BlockGradient& block) {
  const ImageShape& shape = block.shape;
  const auto plane = static_cast<size_t>(shape.height * shape.width);
  std::vector<double> sums(plane);
  for (size_t channel = 0; channel < static_cast<size_t>(shape.channels); ++channel) {
    const float* const gradient = &block.gradient[channel * plane];
    const float* const activation = &block.activations[channel * plane];
    double weight = 0;
    for (size_t i = 0; i < plane; ++i) weight += gradient[i];
    weight /= static_cast<double>(plane);
    for (size_t i = 0; i < plane; ++i) sums[i] += weight * activation[i];
  }
  HeatMap heat{shape.height, shape.width, {}};
  for (const double sum : sums) heat.values.push_back(static_cast<float>(std::max(sum, 0.0)));
  return heat;
}

// The image with the square at every position.
class Occluded {
 public:
  Occluded(const ImageShape& shape, std::vector<float> image, const Occluder& occluder)
      : shape_(shape),
        image_(std::move(image)),
        occluder_(occluder),
        rows_(OccluderPositions(shape.height, occluder)),
        columns_(OccluderPositions(shape.width, occluder)) {
    const int64_t plane = shape.height * shape.width;
    for (int64_t channel = 0; channel < shape.channels; ++channel) {
      double sum = 0;
      for (int64_t i = 0; i < plane; ++i) sum += image_[channel * plane + i];
      means_.push_back(static_cast<float>(sum / static_cast<double>(plane)));
    }
  }

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  const std::vector<float>& image() const { return image_; }

  // Calls visit(row, column) for each pixel that a position covers; positions row by row.
  template <typename Visit>
  void ForEachCovered(int64_t position, const Visit& visit) const {
    const int64_t top = Begin(position / columns_, shape_.height);
    const int64_t left = Begin(position % columns_, shape_.width);
    for (int64_t y = top; y < top + occluder_.window; ++y) {
      for (int64_t x = left; x < left + occluder_.window; ++x) visit(y, x);
    }
  }

  void Append(int64_t position, std::vector<float>* images) const {
    const auto begin = static_cast<int64_t>(images->size());
    images->insert(images->end(), image_.begin(), image_.end());
    for (int64_t channel = 0; channel < shape_.channels; ++channel) {
      ForEachCovered(position, [&](int64_t y, int64_t x) {
        (*images)[begin + (channel * shape_.height + y) * shape_.width + x] = means_[channel];
      });
    }
  }

  // Each pixel's mean of the positions that cover it.
  HeatMap OverTheImage(const std::vector<float>& falls) const {
    const auto pixels = static_cast<size_t>(shape_.height * shape_.width);
    std::vector<double> sums(pixels);
    std::vector<int64_t> counts(pixels);
    for (size_t position = 0; position < falls.size(); ++position) {
      ForEachCovered(static_cast<int64_t>(position), [&](int64_t y, int64_t x) {
        const auto pixel = static_cast<size_t>(y * shape_.width + x);
        sums[pixel] += falls[position];
        ++counts[pixel];
      });
    }
    HeatMap heat{shape_.height, shape_.width, {}};
    for (size_t i = 0; i < pixels; ++i) {
      heat.values.push_back(static_cast<float>(sums[i] / static_cast<double>(counts[i])));
    }
    return heat;
  }

 private:
  int64_t Begin(int64_t index, int64_t extent) const {
    return std::min(index * occluder_.stride, extent - occluder_.window);
  }

  const ImageShape shape_;
  const std::vector<float> image_;
  const Occluder occluder_;
  const int64_t rows_;
  const int64_t columns_;
  std::vector<float> means_;
};

std::vector<float> Answers(const InferenceNetwork& network, const std::vector<float>& images) {
  const int64_t count = static_cast<int64_t>(images.size()) / network.input_shape().size();
  std::vector<float> answers(static_cast<size_t>(count * network.classes()));
  const PixelSpan part = absl::MakeConstSpan(images);
  network.Run(absl::MakeConstSpan(&part, 1), answers.data());
  return answers;
}

absl::StatusOr<Explanation> ComputeOcclusion(const TrainedModel& model, const Occluded& occluded,
                                             std::optional<int64_t> target,
                                             const StillWanted& still_wanted) {
  const std::unique_ptr<const InferenceNetwork> network = Compile(model);
  Explanation result;
  result.probabilities = Answers(*network, occluded.image());
  result.target = target.value_or(MostProbable(result.probabilities));
  result.heat = {occluded.rows(), occluded.columns(), {}};
  const int64_t positions = occluded.rows() * occluded.columns();
  for (int64_t first = 0; first < positions; first += kBatch) {
    if (still_wanted) {
      if (absl::Status status = still_wanted(); !status.ok()) return status;
    }
    std::vector<float> images;
    const int64_t end = std::min(first + kBatch, positions);
    for (int64_t position = first; position < end; ++position) {
      occluded.Append(position, &images);
    }
    const std::vector<float> answers = Answers(*network, images);
    for (auto at = static_cast<size_t>(result.target); at < answers.size();
         at += result.probabilities.size()) {
      result.heat.values.push_back(result.probabilities[result.target] - answers[at]);
    }
  }
  result.drawn = occluded.OverTheImage(result.heat.values);
  return result;
}

}  // namespace

absl::StatusOr<Explanation> GradCam(const TrainedModel& model, const PixelSpan& image,
                                    int64_t block, std::optional<int64_t> target) {
  return GuardExceptions("explaining an answer", [&]() -> absl::StatusOr<Explanation> {
    BlockGradient gradient = TorchLibrary::Get().GradientOf(model, image, block, target);
    HeatMap heat = WeightedSum(gradient);
    return Explanation{std::move(gradient.probabilities), gradient.target, heat, heat};
  });
}

int64_t OccluderPositions(int64_t extent, const Occluder& occluder) {
  return (extent - occluder.window + occluder.stride - 1) / occluder.stride + 1;
}

int64_t MaxOccluderPositions(const Architecture& architecture) {
  const int64_t each = std::max<int64_t>(architecture.MultiplyAdds(), 1);
  return std::clamp(kMostMultiplyAdds / each, kLeastPositions, kMostPositions);
}

absl::StatusOr<Explanation> Occlusion(const TrainedModel& model, const PixelSpan& image,
                                      const Occluder& occluder, std::optional<int64_t> target,
                                      const StillWanted& still_wanted) {
  return GuardExceptions("explaining an answer", [&] {
    const Occluded occluded(model.architecture.input, FloatsOf(image), occluder);
    return ComputeOcclusion(model, occluded, target, still_wanted);
  });
}

}  // namespace atelier::models
