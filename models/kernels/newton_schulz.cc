#include "models/kernels/newton_schulz.h"

#include <cmath>
#include <utility>

#include "models/kernels/panel_kernels.h"

namespace atelier::models {
namespace {

constexpr int kSteps = 5;
constexpr float kA = 3.4445F;
constexpr float kB = -4.7750F;
constexpr float kC = 2.0315F;
// Added to the norm that the matrix is divided by.
constexpr double kEpsilon = 1e-7;

}  // namespace

NewtonSchulz::NewtonSchulz(int64_t rows, int64_t columns)
    : wide_(rows < columns),
      height_(std::max(rows, columns)),
      width_(PadToPanel(std::min(rows, columns))),
      values_(height_ * width_),
      next_(height_ * width_),
      gram_(width_ * width_),
      square_(width_ * width_),
      polynomial_(width_ * width_) {
  for (int64_t i = 0; i < pieces(); ++i) products_.emplace_back(width_ * width_);
}

void NewtonSchulz::Run(ThreadTeam& team) {
  Normalize(team);
  for (int step = 0; step < kSteps; ++step) Iterate(team);
}

void NewtonSchulz::Normalize(ThreadTeam& team) {
  std::vector<double> squares(static_cast<size_t>(pieces()));
  team.Run(pieces(), [&](int64_t piece) {
    const float* const values = values_.data() + piece * kRows * width_;
    double sum = 0;
    for (int64_t i = 0; i < rows_of(piece) * width_; ++i) {
      sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    }
    squares[static_cast<size_t>(piece)] = sum;
  });
  double norm = 0;
  for (const double sum : squares) norm += sum;
  const auto factor = static_cast<float>(1 / (std::sqrt(norm) + kEpsilon));
  for (int64_t i = 0; i < values_.size(); ++i) values_.data()[i] *= factor;
}

void NewtonSchulz::Iterate(ThreadTeam& team) {
  team.Run(pieces(), [&](int64_t piece) {
    const float* const values = values_.data() + piece * kRows * width_;
    MultiplyTransposed(rows_of(piece), width_, width_, values, values,
                       products_[static_cast<size_t>(piece)].data());
  });
  MakePolynomial();
  team.Run(pieces(), [&](int64_t piece) {
    const int64_t begin = piece * kRows * width_;
    Multiply(rows_of(piece), width_, width_, values_.data() + begin, polynomial_.data(), nullptr,
             Activation::kNone, next_.data() + begin);
  });
  std::swap(values_, next_);
}

void NewtonSchulz::MakePolynomial() {
  float* const panels = products_[0].data();
  for (size_t piece = 1; piece < products_.size(); ++piece) {
    const float* const more = products_[piece].data();
    for (int64_t i = 0; i < width_ * width_; ++i) panels[i] += more[i];
  }
  const auto in_panels = [this](int64_t k, int64_t j) {
    return (j / kPanel * width_ + k) * kPanel + j % kPanel;
  };
  for (int64_t k = 0; k < width_; ++k) {
    for (int64_t j = 0; j < width_; ++j) gram_.data()[k * width_ + j] = panels[in_panels(k, j)];
  }
  Multiply(width_, width_, width_, gram_.data(), panels, nullptr, Activation::kNone,
           square_.data());
  for (int64_t k = 0; k < width_; ++k) {
    for (int64_t j = 0; j < width_; ++j) {
      const int64_t at = k * width_ + j;
      polynomial_.data()[in_panels(k, j)] =
          kB * gram_.data()[at] + kC * square_.data()[at] + (k == j ? kA : 0);
    }
  }
}

}  // namespace atelier::models
