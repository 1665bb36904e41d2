#include "models/kernels/fastest_precision.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "models/base/float_buffer.h"
#include "models/kernels/coverage.h"
#include "models/kernels/pair_convolution.h"
#include "models/kernels/pair_products.h"
#include "models/kernels/pair_winograd.h"

namespace atelier::models {
namespace {

// Shortest of a few, which other programs disturb least.
template <typename Work>
double Seconds(const Work& work) {
  using Clock = std::chrono::steady_clock;
  double shortest = std::numeric_limits<double>::infinity();
  for (int i = 0; i < 20; ++i) {
    const Clock::time_point begin = Clock::now();
    work();
    shortest = std::min(shortest, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return shortest;
}

bool MeasurePairs() {
  if (FindPairUnit() == PairUnit::kNone) return false;
  // A layer of the middle of a network. Its zeros take as long as other numbers.
  const ConvolutionShape shape = {14, 14, 32, 64};
  const FloatBuffer input(shape.padded_size(shape.inputs));
  const FloatBuffer weights(kWinogradPlaces * shape.inputs * shape.outputs);
  const FloatBuffer output(shape.height * shape.width * shape.outputs);
  const FloatBuffer scratch(WinogradScratch(shape));
  const NumberBuffer<Bfloat16> image(std::max(input.size(), PairWinogradImage(shape)));
  const NumberBuffer<Bfloat16> pairs(weights.size());
  const double floats = Seconds([&] {
    WinogradConvolve(shape, input.data(), weights.data(), nullptr, Activation::kRelu,
                     scratch.data(), output.data());
  });
  const double halves = Seconds([&] {
    if (PairsAreTransformed()) {
      return PairWinogradConvolve(shape, input.data(), pairs.data(), nullptr, Activation::kRelu,
                                  image.data(), scratch.data(), output.data());
    }
    RoundNumbers(input.size(), input.data(), image.data());
    PairConvolve(shape, image.data(), pairs.data(), nullptr, Activation::kRelu, output.data());
  });
  return halves < 0.8 * floats;
}

}  // namespace

bool PairsAreFaster() {
  static const bool faster = MeasurePairs();
  return faster;
}

ProductRounding FastestProductRounding() {
  if (!PairsAreFaster()) return ProductRounding::kNone;
  return PairsAreTransformed() ? ProductRounding::kTransformed : ProductRounding::kDirect;
}

Precision FastestPrecision(const Architecture& architecture, Device device, int64_t freeze) {
  const bool covered =
      KernelsCoverTraining(architecture, Precision::kBfloat16, device, freeze).ok();
  return covered && PairsAreFaster() ? Precision::kBfloat16 : Precision::kFloat32;
}

}  // namespace atelier::models
