#include "models/training/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "models/network/probabilities.h"
#include "models/training/scoring.h"

namespace atelier::models {
namespace {

// The cross-entropy of all images as a function of β = 1/temperature, by its derivatives. With z
// the logarithms of an image's probabilities and y its class it is Σ log Σ exp(β z) − β z_y, whose
// slope is the mean of z under softmax(β z) minus z_y, and whose curvature is the variance of z.
class CrossEntropy {
 public:
  struct Derivatives {
    double slope = 0;
    double curvature = 0;
  };

  explicit CrossEntropy(const LabeledProbabilities& images)
      : classes_(static_cast<size_t>(images.classes)), labels_(images.labels) {
    logs_.reserve(images.rows.size());
    for (const float p : images.rows) logs_.push_back(LogProbability(p));
    for (size_t begin = 0; begin < logs_.size(); begin += classes_) {
      const auto row = logs_.begin() + static_cast<std::ptrdiff_t>(begin);
      const float top = *std::max_element(row, row + static_cast<std::ptrdiff_t>(classes_));
      for (size_t i = begin; i < begin + classes_; ++i) logs_[i] -= top;
    }
  }

  Derivatives At(double beta) const {
    Derivatives sum;
    for (size_t image = 0; image < labels_.size(); ++image) {
      const float* z = &logs_[image * classes_];
      double weights = 0;
      double first = 0;
      double second = 0;
      for (size_t i = 0; i < classes_; ++i) {
        const auto value = static_cast<double>(z[i]);
        const double weight = std::exp(beta * value);
        weights += weight;
        first += weight * value;
        second += weight * value * value;
      }
      const double mean = first / weights;
      sum.slope += mean - static_cast<double>(z[labels_[image]]);
      sum.curvature += second / weights - mean * mean;
    }
    return sum;
  }

 private:
  const size_t classes_;
  const std::vector<ClassLabel>& labels_;
  // Relative to the largest of each image, so at most 0.
  std::vector<float> logs_;
};

// Places in `indices` at equal distances, as many as there may be.
std::vector<int32_t> Thinned(absl::Span<const int32_t> indices, int64_t classes) {
  const auto most = static_cast<size_t>(std::max<int64_t>(1, kMaxCalibrationNumbers / classes));
  const size_t count = std::min(indices.size(), most);
  std::vector<int32_t> kept(count);
  for (size_t i = 0; i < count; ++i) kept[i] = indices[i * indices.size() / count];
  return kept;
}

Calibration CalibrationOf(const LabeledProbabilities& images) {
  Calibration calibration;
  calibration.temperature = FitTemperature(images);
  const auto classes = static_cast<size_t>(images.classes);
  ReliabilityTally before;
  ReliabilityTally after;
  for (size_t image = 0; image < images.labels.size(); ++image) {
    const auto row = absl::MakeConstSpan(images.rows).subspan(image * classes, classes);
    const auto best = std::max_element(row.begin(), row.end());
    const bool right = best - row.begin() == images.labels[image];
    before.Add(*best, right);
    after.Add(ConfidenceAt(calibration.temperature, row), right);
  }
  calibration.validation_ece = before.Finish().ece;
  calibration.calibrated_validation_ece = after.Finish().ece;
  return calibration;
}

}  // namespace

void ReliabilityTally::Add(float confidence, bool right) {
  const double place = std::ceil(static_cast<double>(confidence) * kReliabilityBins) - 1;
  // NaN, of a network that computes none, goes into the first bin.
  const int bin = place > 0 ? std::min(static_cast<int>(place), kReliabilityBins - 1) : 0;
  ReliabilityBin& sums = sums_[static_cast<size_t>(bin)];
  ++sums.images;
  sums.confidence += static_cast<double>(confidence);
  sums.accuracy += right ? 1 : 0;
}

Reliability ReliabilityTally::Finish() const {
  Reliability reliability;
  reliability.bins.assign(sums_.begin(), sums_.end());
  int64_t images = 0;
  for (ReliabilityBin& bin : reliability.bins) {
    if (bin.images == 0) continue;
    images += bin.images;
    reliability.ece += std::abs(bin.accuracy - bin.confidence);
    bin.confidence /= static_cast<double>(bin.images);
    bin.accuracy /= static_cast<double>(bin.images);
  }
  if (images > 0) reliability.ece /= static_cast<double>(images);
  return reliability;
}

double FitTemperature(const LabeledProbabilities& images) {
  const CrossEntropy loss(images);
  double low = 1 / kMaxTemperature;
  double high = 1 / kMinTemperature;
  double beta = 1;
  CrossEntropy::Derivatives here = loss.At(beta);
  if (here.slope == 0) return 1;
  if (loss.At(high).slope <= 0) return kMinTemperature;
  if (loss.At(low).slope >= 0) return kMaxTemperature;
  // Newton's steps, within the range that is known to hold the minimum; halved where they leave it.
  constexpr int kMostSteps = 200;
  constexpr double kTolerance = 1e-10;
  for (int step = 0; step < kMostSteps && here.slope != 0; ++step) {
    (here.slope > 0 ? high : low) = beta;
    double next = beta - here.slope / here.curvature;
    if (!(next > low && next < high)) next = std::sqrt(low * high);
    const bool done = std::abs(next - beta) <= kTolerance * beta;
    beta = next;
    if (done) break;
    here = loss.At(beta);
  }
  return 1 / beta;
}

absl::StatusOr<Calibration> Calibrate(const InferenceNetwork& network, const LabeledImages& images,
                                      absl::Span<const int32_t> indices, int64_t batch_size,
                                      ThreadTeam& team, const StopSignal* stop) {
  const std::vector<int32_t> chosen = Thinned(indices, network.classes());
  const auto classes = static_cast<size_t>(network.classes());
  LabeledProbabilities shown{network.classes(), std::vector<float>(chosen.size() * classes),
                             std::vector<ClassLabel>(chosen.size())};
  const absl::Status visited =
      VisitProbabilities(network, images, chosen, batch_size, team, stop,
                         [&](size_t place, absl::Span<const float> row, ClassLabel label) {
                           std::copy(row.begin(), row.end(), &shown.rows[place * classes]);
                           shown.labels[place] = label;
                         });
  if (!visited.ok()) return visited;
  return CalibrationOf(shown);
}

std::string TemperatureWarning(double temperature) {
  if (temperature <= kMinTemperature) {
    return absl::StrCat("The calibration temperature is ", kMinTemperature,
                        ", the lowest allowed, as when every validation image is classified "
                        "correctly: calibrated probabilities will be close to 0 and 1.");
  }
  if (temperature >= kMaxTemperature) {
    return absl::StrCat("The calibration temperature is ", kMaxTemperature,
                        ", the highest allowed, as when the network has learned nothing about the "
                        "validation images: calibrated probabilities will be nearly equal.");
  }
  return "";
}

}  // namespace atelier::models
