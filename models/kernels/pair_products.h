// Products of bfloat16 matrices, summed in float32 by the processor's own instructions for them:
// AMX tiles, or else AVX-512 BF16. Both take two products of a sum at a time and read the second
// matrix in the same way, so one layout serves both. Each sum is taken in an order that depends on
// the instructions alone; they treat denormal numbers as zero. Thread-safe; nothing is allocated.
//
// A panel of pairs: 32 columns of a matrix, element (k, j) at (k / 2 · 32 + j) · 2 + k % 2. A
// matrix in panels of pairs has them one after the other, as panel_kernels.h has its panels.
#ifndef ATELIER_MODELS_KERNELS_PAIR_PRODUCTS_H_
#define ATELIER_MODELS_KERNELS_PAIR_PRODUCTS_H_

#include <cstdint>

#include "absl/types/span.h"
#include "models/kernels/panel_kernels.h"

namespace atelier::models {

// Instructions that multiply bfloat16, from none to the fastest.
enum class PairUnit { kNone, kAvx512, kTiles };

// The fastest that this machine has: the processor, and for tiles the system, which is asked for
// their use once.
PairUnit FindPairUnit();

// `none`, `AVX-512 BF16` or `AMX`.
const char* PairUnitName(PairUnit unit);

// For tests and measurements: none faster than `most` is used from now on. Not while others
// compute.
void LimitPairUnit(PairUnit most);

// Numbers of a sum that are multiplied at a time: inner dimensions are multiples of it.
inline constexpr int64_t kPairStep = 32;

constexpr int64_t PadToPairStep(int64_t size) {
  return (size + kPairStep - 1) / kPairStep * kPairStep;
}

// c = start + a · b for one panel of b. Strides count numbers.
struct PairTask {
  // Row r: `segments` runs of `segment_size` numbers, a multiple of kPairStep; for vectors of 2.
  const Bfloat16* a = nullptr;
  int64_t a_stride = 0;
  // From a pair of numbers to the next one of its run; tiles read them side by side.
  int64_t a_step = 2;
  int64_t segments = 1;
  int64_t a_segment_stride = 0;
  int64_t segment_size = 0;
  // A panel of pairs for each segment.
  const Bfloat16* b = nullptr;
  int64_t b_segment_stride = 0;
  // Zeros if null. It may be c where `rows` is a multiple of 32.
  const float* start = nullptr;
  // 0 where all rows start alike.
  int64_t start_stride = 0;
  float* c = nullptr;
  int64_t c_stride = 0;
};

// Does `rows` rows of every task. The machine must have a PairUnit.
void MultiplyPairs(absl::Span<const PairTask> tasks, int64_t rows);

// c (rows × columns) = activation(a · pairs + bias), a being rows × inner (a multiple of kPairStep)
// and pairs in panels of pairs; no bias if it is null.
void MultiplyByPairs(int64_t rows, int64_t inner, int64_t columns, const Bfloat16* a,
                     const Bfloat16* pairs, const float* bias, Activation activation, float* c);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_KERNELS_PAIR_PRODUCTS_H_
