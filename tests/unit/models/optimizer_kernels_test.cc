// The optimisers' rules and Muon's orthogonalisation against the same written plainly, in double.
#include "models/kernels/optimizer_kernels.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/targets.h"
#include "models/base/random.h"
#include "models/base/thread_team.h"
#include "models/kernels/newton_schulz.h"

namespace atelier::models {
namespace {

// Two panels, the second of which is changed.
constexpr int64_t kBegin = 32;
constexpr int64_t kCount = 32;
constexpr int kSteps = 3;

// Between -1 and 1.
std::vector<float> Noise(int64_t size, uint64_t which) {
  RandomStream random(3, RandomPurpose::kWeights, which);
  std::vector<float> values(static_cast<size_t>(size));
  for (float& value : values) value = 2 * random.NextFloat() - 1;
  return values;
}

// Runs `update` on parameters and states that begin with zeros, some steps with two shards'
// gradients each, and expects what `plain` makes of one parameter, its states and its gradient at a
// time that counts from 1.
using Buffers = std::vector<std::vector<float>>;
using Numbers = std::vector<double>;
void ExpectAsPlain(size_t states,
                   const std::function<void(int time, ShardGradients, Buffers&)>& update,
                   const std::function<double(int time, double parameter, double gradient,
                                              Numbers& states)>& plain) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::GetChosenTarget().Update(target);
    const std::vector<float> start = Noise(kBegin + kCount, 100);
    // The states, then the parameters.
    Buffers buffers(states, std::vector<float>(start.size()));
    buffers.push_back(start);
    std::vector<Numbers> remembered(start.size(), Numbers(states));
    std::vector<double> expected(start.begin(), start.end());
    for (int time = 1; time <= kSteps; ++time) {
      const std::vector<float> one = Noise(kBegin + kCount, static_cast<uint64_t>(2 * time));
      const std::vector<float> two = Noise(kBegin + kCount, static_cast<uint64_t>(2 * time + 1));
      const std::vector<const float*> gradients = {one.data(), two.data()};
      update(time, gradients, buffers);
      for (size_t i = kBegin; i < expected.size(); ++i) {
        const double gradient = static_cast<double>(one[i]) + static_cast<double>(two[i]);
        expected[i] = plain(time, expected[i], gradient, remembered[i]);
      }
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(buffers.back()[i], expected[i], 1e-5) << i;
      if (i < kBegin) {
        EXPECT_EQ(buffers.back()[i], start[i]);
      }
    }
  }
  hwy::GetChosenTarget().DeInit();
}

constexpr double kRate = 0.1;
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.99;
constexpr double kEpsilon = 1e-3;
constexpr double kMomentum = 0.8;
constexpr double kDecay = 0.3;

// With the bias corrections written out. `decoupled` is AdamW.
void ExpectAdam(bool decoupled) {
  ExpectAsPlain(
      2,
      [&](int time, ShardGradients gradients, Buffers& buffers) {
        AdamRule rule;
        rule.rate = static_cast<float>(kRate * std::sqrt(1 - std::pow(kBeta2, time)) /
                                       (1 - std::pow(kBeta1, time)));
        rule.beta1 = kBeta1;
        rule.beta2 = kBeta2;
        rule.epsilon = kEpsilon;
        (decoupled ? rule.keep : rule.decay) = decoupled ? 1 - kRate * kDecay : kDecay;
        UpdateByAdam(rule, gradients, kBegin, kCount, buffers[0].data(), buffers[1].data(),
                     buffers[2].data());
      },
      [&](int time, double parameter, double gradient, Numbers& states) {
        if (!decoupled) gradient += kDecay * parameter;
        states[0] = kBeta1 * states[0] + (1 - kBeta1) * gradient;
        states[1] = kBeta2 * states[1] + (1 - kBeta2) * gradient * gradient;
        const double mean = states[0] / (1 - std::pow(kBeta1, time));
        const double correction = std::sqrt(1 - std::pow(kBeta2, time));
        const double root = (std::sqrt(states[1]) + kEpsilon) / correction;
        const double kept = decoupled ? parameter - kRate * kDecay * parameter : parameter;
        return kept - kRate * mean / root;
      });
}

TEST(OptimizerKernelsTest, AdamWTakesDecayOffTheParameter) { ExpectAdam(/*decoupled=*/true); }

TEST(OptimizerKernelsTest, AdamAddsDecayToTheGradient) { ExpectAdam(/*decoupled=*/false); }

void ExpectSgd(double momentum, bool nesterov) {
  ExpectAsPlain(
      1,
      [&](int /*time*/, ShardGradients gradients, Buffers& buffers) {
        const SgdRule rule = {kRate, static_cast<float>(momentum), nesterov, kDecay};
        UpdateBySgd(rule, gradients, kBegin, kCount, momentum > 0 ? buffers[0].data() : nullptr,
                    buffers[1].data());
      },
      [&](int /*time*/, double parameter, double gradient, Numbers& states) {
        gradient += kDecay * parameter;
        states[0] = momentum * states[0] + gradient;
        return parameter - kRate * (nesterov ? gradient + momentum * states[0] : states[0]);
      });
}

TEST(OptimizerKernelsTest, SgdFollowsTheGradient) { ExpectSgd(0, false); }

TEST(OptimizerKernelsTest, SgdHasMomentum) { ExpectSgd(kMomentum, false); }

TEST(OptimizerKernelsTest, SgdHasNesterovsMomentum) { ExpectSgd(kMomentum, true); }

void ExpectRmsprop(double momentum) {
  ExpectAsPlain(
      2,
      [&](int /*time*/, ShardGradients gradients, Buffers& buffers) {
        const RmspropRule rule = {kRate, kBeta2, kEpsilon, static_cast<float>(momentum), kDecay};
        UpdateByRmsprop(rule, gradients, kBegin, kCount, buffers[0].data(),
                        momentum > 0 ? buffers[1].data() : nullptr, buffers[2].data());
      },
      [&](int /*time*/, double parameter, double gradient, Numbers& states) {
        gradient += kDecay * parameter;
        states[0] = kBeta2 * states[0] + (1 - kBeta2) * gradient * gradient;
        states[1] = momentum * states[1] + gradient / (std::sqrt(states[0]) + kEpsilon);
        return parameter - kRate * states[1];
      });
}

TEST(OptimizerKernelsTest, RmspropDividesByTheRootOfTheMeanSquare) { ExpectRmsprop(0); }

TEST(OptimizerKernelsTest, RmspropHasMomentum) { ExpectRmsprop(kMomentum); }

TEST(OptimizerKernelsTest, SumsGradientsAndTheirSquares) {
  const std::vector<float> one = Noise(64, 1);
  const std::vector<float> two = Noise(64, 2);
  const std::vector<const float*> gradients = {one.data(), two.data()};
  std::vector<float> sums(64);
  const double squares = SumGradients(gradients, kBegin, kCount, sums.data());
  double expected = 0;
  for (size_t i = kBegin; i < sums.size(); ++i) {
    EXPECT_EQ(sums[i], one[i] + two[i]);
    expected += std::pow(static_cast<double>(sums[i]), 2);
  }
  EXPECT_NEAR(squares, expected, 1e-5);
  EXPECT_EQ(sums[0], 0) << "outside of the range";
}

using Matrix = std::vector<std::vector<double>>;

Matrix NoisyMatrix(int64_t rows, int64_t columns) {
  const std::vector<float> values = Noise(rows * columns, 7);
  Matrix matrix;
  for (int64_t i = 0; i < rows; ++i) {
    matrix.emplace_back(values.begin() + i * columns, values.begin() + (i + 1) * columns);
  }
  return matrix;
}

Matrix Product(const Matrix& a, const Matrix& b) {
  Matrix product(a.size(), std::vector<double>(b[0].size()));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < b.size(); ++k) {
      for (size_t j = 0; j < b[0].size(); ++j) product[i][j] += a[i][k] * b[k][j];
    }
  }
  return product;
}

Matrix Transposed(const Matrix& a) {
  Matrix transposed(a[0].size(), std::vector<double>(a.size()));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a[0].size(); ++j) transposed[j][i] = a[i][j];
  }
  return transposed;
}

// As https://kellerjordan.github.io/posts/muon/ has it.
Matrix PlainNewtonSchulz(Matrix x) {
  double norm = 0;
  for (const auto& row : x) {
    for (const double value : row) norm += value * value;
  }
  for (auto& row : x) {
    for (double& value : row) value /= std::sqrt(norm) + 1e-7;
  }
  const bool tall = x.size() > x[0].size();
  if (tall) x = Transposed(x);
  for (int step = 0; step < 5; ++step) {
    const Matrix a = Product(x, Transposed(x));
    const Matrix square = Product(a, a);
    Matrix b = a;
    for (size_t i = 0; i < a.size(); ++i) {
      for (size_t j = 0; j < a.size(); ++j) b[i][j] = -4.7750 * a[i][j] + 2.0315 * square[i][j];
    }
    const Matrix more = Product(b, x);
    for (size_t i = 0; i < x.size(); ++i) {
      for (size_t j = 0; j < x[0].size(); ++j) x[i][j] = 3.4445 * x[i][j] + more[i][j];
    }
  }
  return tall ? Transposed(x) : x;
}

// On so many threads.
Matrix Orthogonalized(const Matrix& matrix, int64_t threads) {
  ThreadTeam team(threads);
  NewtonSchulz orthogonal(static_cast<int64_t>(matrix.size()),
                          static_cast<int64_t>(matrix[0].size()));
  const auto for_each = [&](const auto& use) {
    for (size_t i = 0; i < matrix.size(); ++i) {
      for (size_t j = 0; j < matrix[0].size(); ++j) {
        use(i, j, orthogonal.at(static_cast<int64_t>(i), static_cast<int64_t>(j)));
      }
    }
  };
  for_each([&](size_t i, size_t j, float& element) { element = static_cast<float>(matrix[i][j]); });
  orthogonal.Run(team);
  Matrix result = matrix;
  for_each([&](size_t i, size_t j, float& element) { result[i][j] = element; });
  return result;
}

TEST(NewtonSchulzTest, IsTheIterationForEveryShape) {
  for (const auto& [rows, columns] :
       std::vector<std::pair<int64_t, int64_t>>{{16, 700}, {700, 33}, {40, 40}, {1, 9}, {5, 1}}) {
    SCOPED_TRACE(testing::Message() << rows << "x" << columns);
    const Matrix matrix = NoisyMatrix(rows, columns);
    const Matrix expected = PlainNewtonSchulz(matrix);
    const Matrix result = Orthogonalized(matrix, 1);
    for (size_t i = 0; i < matrix.size(); ++i) {
      for (size_t j = 0; j < matrix[0].size(); ++j) {
        EXPECT_NEAR(result[i][j], expected[i][j], 2e-4) << i << ", " << j;
      }
    }
    EXPECT_EQ(Orthogonalized(matrix, 3), result) << "threads do not matter";
  }
}

TEST(NewtonSchulzTest, BringsTheRowsNearLengthOneAndRightAngles) {
  const Matrix result = Orthogonalized(NoisyMatrix(8, 500), 1);
  const Matrix gram = Product(result, Transposed(result));
  for (size_t i = 0; i < gram.size(); ++i) {
    for (size_t j = 0; j < gram.size(); ++j) EXPECT_NEAR(gram[i][j], i == j ? 1 : 0, 0.5);
  }
}

TEST(NewtonSchulzTest, ZerosStayZeros) {
  const Matrix zeros(4, std::vector<double>(6));
  EXPECT_EQ(Orthogonalized(zeros, 1), zeros);
}

}  // namespace
}  // namespace atelier::models
