#include "models/kernels/optimizer_kernels.h"

#include <cstddef>

// The rest is compiled once for every kind of processor: this file includes itself.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/kernels/optimizer_kernels.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace atelier::models {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using Floats = hn::Vec<FloatTag>;

constexpr size_t kMaxLanes = 16;

// Of the numbers from i on.
HWY_INLINE Floats SumAt(ShardGradients gradients, int64_t i) {
  const FloatTag d;
  Floats g = hn::LoadU(d, gradients[0] + i);
  for (size_t shard = 1; shard < gradients.size(); ++shard) {
    g = hn::Add(g, hn::LoadU(d, gradients[shard] + i));
  }
  return g;
}

void UpdateByAdam(const AdamRule& rule, ShardGradients gradients, int64_t begin, int64_t count,
                  float* first, float* second, float* parameters) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Floats beta1 = hn::Set(d, rule.beta1);
  const Floats beta2 = hn::Set(d, rule.beta2);
  const Floats rest1 = hn::Set(d, 1 - rule.beta1);
  const Floats rest2 = hn::Set(d, 1 - rule.beta2);
  const Floats rate = hn::Set(d, rule.rate);
  const Floats epsilon = hn::Set(d, rule.epsilon);
  const Floats keep = hn::Set(d, rule.keep);
  const Floats decay = hn::Set(d, rule.decay);
  const bool decays = rule.decay > 0;
  for (int64_t i = begin; i < begin + count; i += lanes) {
    Floats g = SumAt(gradients, i);
    if (decays) g = hn::MulAdd(decay, hn::LoadU(d, parameters + i), g);
    const Floats m = hn::MulAdd(rest1, g, hn::Mul(beta1, hn::LoadU(d, first + i)));
    const Floats v = hn::MulAdd(hn::Mul(rest2, g), g, hn::Mul(beta2, hn::LoadU(d, second + i)));
    hn::StoreU(m, d, first + i);
    hn::StoreU(v, d, second + i);
    const Floats change = hn::Div(hn::Mul(rate, m), hn::Add(hn::Sqrt(v), epsilon));
    const Floats parameter = hn::Mul(keep, hn::LoadU(d, parameters + i));
    hn::StoreU(hn::Sub(parameter, change), d, parameters + i);
  }
}

void UpdateBySgd(const SgdRule& rule, ShardGradients gradients, int64_t begin, int64_t count,
                 float* velocity, float* parameters) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Floats rate = hn::Set(d, rule.rate);
  const Floats momentum = hn::Set(d, rule.momentum);
  const Floats decay = hn::Set(d, rule.decay);
  for (int64_t i = begin; i < begin + count; i += lanes) {
    const Floats parameter = hn::LoadU(d, parameters + i);
    const Floats g = hn::MulAdd(decay, parameter, SumAt(gradients, i));
    Floats direction = g;
    if (velocity != nullptr) {
      const Floats moved = hn::MulAdd(momentum, hn::LoadU(d, velocity + i), g);
      hn::StoreU(moved, d, velocity + i);
      direction = rule.nesterov ? hn::MulAdd(momentum, moved, g) : moved;
    }
    hn::StoreU(hn::NegMulAdd(rate, direction, parameter), d, parameters + i);
  }
}

void UpdateByRmsprop(const RmspropRule& rule, ShardGradients gradients, int64_t begin,
                     int64_t count, float* second, float* velocity, float* parameters) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const Floats rate = hn::Set(d, rule.rate);
  const Floats beta2 = hn::Set(d, rule.beta2);
  const Floats rest2 = hn::Set(d, 1 - rule.beta2);
  const Floats epsilon = hn::Set(d, rule.epsilon);
  const Floats momentum = hn::Set(d, rule.momentum);
  const Floats decay = hn::Set(d, rule.decay);
  for (int64_t i = begin; i < begin + count; i += lanes) {
    const Floats parameter = hn::LoadU(d, parameters + i);
    const Floats g = hn::MulAdd(decay, parameter, SumAt(gradients, i));
    const Floats v = hn::MulAdd(hn::Mul(rest2, g), g, hn::Mul(beta2, hn::LoadU(d, second + i)));
    hn::StoreU(v, d, second + i);
    Floats direction = hn::Div(g, hn::Add(hn::Sqrt(v), epsilon));
    if (velocity != nullptr) {
      direction = hn::MulAdd(momentum, hn::LoadU(d, velocity + i), direction);
      hn::StoreU(direction, d, velocity + i);
    }
    hn::StoreU(hn::NegMulAdd(rate, direction, parameter), d, parameters + i);
  }
}

// A lane's squares are added in float, as many as there are in `count`, the lanes in double.
double SumGradients(ShardGradients gradients, int64_t begin, int64_t count, float* sums) {
  const FloatTag d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  Floats squares = hn::Zero(d);
  for (int64_t i = begin; i < begin + count; i += lanes) {
    const Floats g = SumAt(gradients, i);
    squares = hn::MulAdd(g, g, squares);
    hn::StoreU(g, d, sums + i);
  }
  HWY_ALIGN float parts[kMaxLanes];
  hn::Store(squares, d, parts);
  double sum = 0;
  for (int64_t lane = 0; lane < lanes; ++lane) sum += static_cast<double>(parts[lane]);
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace atelier::models
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace atelier::models {

HWY_EXPORT(UpdateByAdam);
HWY_EXPORT(UpdateBySgd);
HWY_EXPORT(UpdateByRmsprop);
HWY_EXPORT(SumGradients);

void UpdateByAdam(const AdamRule& rule, ShardGradients gradients, int64_t begin, int64_t count,
                  float* first, float* second, float* parameters) {
  HWY_DYNAMIC_DISPATCH(UpdateByAdam)(rule, gradients, begin, count, first, second, parameters);
}

void UpdateBySgd(const SgdRule& rule, ShardGradients gradients, int64_t begin, int64_t count,
                 float* velocity, float* parameters) {
  HWY_DYNAMIC_DISPATCH(UpdateBySgd)(rule, gradients, begin, count, velocity, parameters);
}

void UpdateByRmsprop(const RmspropRule& rule, ShardGradients gradients, int64_t begin,
                     int64_t count, float* second, float* velocity, float* parameters) {
  HWY_DYNAMIC_DISPATCH(UpdateByRmsprop)
  (rule, gradients, begin, count, second, velocity, parameters);
}

double SumGradients(ShardGradients gradients, int64_t begin, int64_t count, float* sums) {
  return HWY_DYNAMIC_DISPATCH(SumGradients)(gradients, begin, count, sums);
}

}  // namespace atelier::models
#endif  // HWY_ONCE
