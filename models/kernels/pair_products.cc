#include "models/kernels/pair_products.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "models/network/precision.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

// Compiled for these processors whatever the rest is compiled for.
#define ATELIER_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))
#define ATELIER_TILES __attribute__((noinline, target("amx-tile,amx-bf16")))
#endif

namespace atelier::models {
namespace {

std::atomic<PairUnit> limit{PairUnit::kTiles};

// Of a panel's pairs of rows.
constexpr int64_t kPairRow = 2 * kPanel;

#if defined(__x86_64__)

bool AskForTiles() {
  // Leaf 7 of CPUID: AMX-BF16 and AMX-TILE are bits 22 and 24 of EDX.
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  if ((d >> 22 & 1) == 0 || (d >> 24 & 1) == 0) return false;
  // Linux hands out the tiles' registers on demand (ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA).
  return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}

PairUnit FastestUnit() {
  if (!Bfloat16Supported()) return PairUnit::kNone;
  return AskForTiles() ? PairUnit::kTiles : PairUnit::kAvx512;
}

// Rows of a tile, and of the two that lie below each other in a block of c.
constexpr int64_t kTileRows = 16;
constexpr int64_t kBlockRows = 2 * kTileRows;

// As LDTILECFG reads it. Tiles 0 to 3 are a block of c, row by row; 4 and 5 of a, 6 and 7 of b.
struct alignas(64) TileConfig {
  explicit TileConfig(int64_t rows) {
    const auto upper = static_cast<uint8_t>(std::min(rows, kTileRows));
    const auto lower = static_cast<uint8_t>(std::clamp(rows - kTileRows, int64_t{1}, kTileRows));
    const uint8_t by_tile[] = {upper, upper, lower, lower, upper, lower, kTileRows, kTileRows};
    std::copy_n(by_tile, 8, tile_rows);
    std::fill_n(row_bytes, 8, uint16_t{64});
  }
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t tile_rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

// The intrinsics do not tell GCC that they read and write memory.
inline void OrderMemory() { __asm__ volatile("" ::: "memory"); }

template <bool kLower>
ATELIER_TILES void StartTiles(const PairTask& task, int64_t row) {
  OrderMemory();
  if (task.start == nullptr) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    return;
  }
  const float* start = task.start + row * task.start_stride;
  const int64_t stride = task.start_stride * static_cast<int64_t>(sizeof(float));
  _tile_loadd(0, start, stride);
  _tile_loadd(1, start + 16, stride);
  if constexpr (kLower) {
    start += kTileRows * task.start_stride;
    _tile_loadd(2, start, stride);
    _tile_loadd(3, start + 16, stride);
  }
}

template <bool kLower>
ATELIER_TILES void StoreTiles(const PairTask& task, int64_t row) {
  float* c = task.c + row * task.c_stride;
  const int64_t stride = task.c_stride * static_cast<int64_t>(sizeof(float));
  _tile_stored(0, c, stride);
  _tile_stored(1, c + 16, stride);
  if constexpr (kLower) {
    c += kTileRows * task.c_stride;
    _tile_stored(2, c, stride);
    _tile_stored(3, c + 16, stride);
  }
  OrderMemory();
}

// A block of c, from row `row` on.
template <bool kLower>
ATELIER_TILES void TileBlock(const PairTask& task, int64_t row) {
  StartTiles<kLower>(task, row);
  const int64_t stride = task.a_stride * static_cast<int64_t>(sizeof(Bfloat16));
  for (int64_t segment = 0; segment < task.segments; ++segment) {
    const Bfloat16* a = task.a + row * task.a_stride + segment * task.a_segment_stride;
    const Bfloat16* lower = a + kTileRows * task.a_stride;
    const Bfloat16* b = task.b + segment * task.b_segment_stride;
    for (int64_t k = 0; k < task.segment_size; k += kPairStep, b += kPairStep / 2 * kPairRow) {
      _tile_loadd(4, a + k, stride);
      _tile_loadd(6, b, 128);
      _tile_loadd(7, b + 32, 128);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (kLower) {
        _tile_loadd(5, lower + k, stride);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
  }
  StoreTiles<kLower>(task, row);
}

ATELIER_TILES void MultiplyByTiles(absl::Span<const PairTask> tasks, int64_t rows) {
  const TileConfig config(rows);
  OrderMemory();
  _tile_loadconfig(&config);
  for (const PairTask& task : tasks) {
    if (rows <= kTileRows) {
      TileBlock<false>(task, 0);
      continue;
    }
    // The last block goes over rows of the one before again rather than over fewer.
    for (int64_t row = 0; row < rows; row += kBlockRows) {
      TileBlock<true>(task, std::max(int64_t{0}, std::min(row, rows - kBlockRows)));
    }
  }
  _tile_release();
}

constexpr int kMaxRows = 8;

template <int kRows>
ATELIER_AVX512 void StartVectors(const PairTask& task, int64_t row, __m512 (&sums)[kRows][2]) {
  for (int r = 0; r < kRows; ++r) {
    if (task.start == nullptr) {
      sums[r][0] = sums[r][1] = _mm512_setzero_ps();
      continue;
    }
    const float* start = task.start + (row + r) * task.start_stride;
    sums[r][0] = _mm512_loadu_ps(start);
    sums[r][1] = _mm512_loadu_ps(start + 16);
  }
}

template <int kRows>
ATELIER_AVX512 void VectorBlock(const PairTask& task, int64_t row) {
  __m512 sums[kRows][2];
  StartVectors<kRows>(task, row, sums);
  for (int64_t segment = 0; segment < task.segments; ++segment) {
    const Bfloat16* a = task.a + row * task.a_stride + segment * task.a_segment_stride;
    const Bfloat16* b = task.b + segment * task.b_segment_stride;
    for (int64_t k = 0; k < task.segment_size; k += 2, a += task.a_step, b += kPairRow) {
      const auto b0 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b));
      const auto b1 = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + 32));
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        int pair;
        std::memcpy(&pair, a + r * task.a_stride, sizeof(pair));
        const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
        sums[r][0] = _mm512_dpbf16_ps(sums[r][0], x, b0);
        sums[r][1] = _mm512_dpbf16_ps(sums[r][1], x, b1);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* c = task.c + (row + r) * task.c_stride;
    _mm512_storeu_ps(c, sums[r][0]);
    _mm512_storeu_ps(c + 16, sums[r][1]);
  }
}

// By rows, from 1.
constexpr void (*kVectorBlocks[kMaxRows])(const PairTask&, int64_t) = {
    VectorBlock<1>, VectorBlock<2>, VectorBlock<3>, VectorBlock<4>,
    VectorBlock<5>, VectorBlock<6>, VectorBlock<7>, VectorBlock<8>};

void MultiplyByVectors(absl::Span<const PairTask> tasks, int64_t rows) {
  for (const PairTask& task : tasks) {
    for (int64_t row = 0; row < rows;) {
      const int64_t blocks = (rows - row + kMaxRows - 1) / kMaxRows;
      const int64_t now = (rows - row + blocks - 1) / blocks;
      kVectorBlocks[now - 1](task, row);
      row += now;
    }
  }
}

#else

PairUnit FastestUnit() { return PairUnit::kNone; }
void MultiplyByTiles(absl::Span<const PairTask> /*tasks*/, int64_t /*rows*/) {}
void MultiplyByVectors(absl::Span<const PairTask> /*tasks*/, int64_t /*rows*/) {}

#endif

}  // namespace

PairUnit FindPairUnit() {
  static const PairUnit fastest = FastestUnit();
  return std::min(fastest, limit.load(std::memory_order_relaxed));
}

const char* PairUnitName(PairUnit unit) {
  constexpr const char* kNames[] = {"none", "AVX-512 BF16", "AMX"};
  return kNames[static_cast<size_t>(unit)];
}

void LimitPairUnit(PairUnit most) { limit = most; }

void MultiplyPairs(absl::Span<const PairTask> tasks, int64_t rows) {
  switch (FindPairUnit()) {
    case PairUnit::kTiles:
      return MultiplyByTiles(tasks, rows);
    case PairUnit::kAvx512:
      return MultiplyByVectors(tasks, rows);
    case PairUnit::kNone:
      throw std::logic_error("this processor does not multiply bfloat16");
  }
}

void MultiplyByPairs(int64_t rows, int64_t inner, int64_t columns, const Bfloat16* a,
                     const Bfloat16* pairs, const float* bias, Activation activation, float* c) {
  // Enough that a call's beginning does not count.
  constexpr int64_t kPanels = 16;
  std::array<PairTask, kPanels> tasks;
  for (int64_t first = 0; first < columns; first += kPanels * kPanel) {
    const int64_t count = std::min(kPanels, (columns - first) / kPanel);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t column = first + i * kPanel;
      PairTask& task = tasks[static_cast<size_t>(i)];
      task.a = a;
      task.a_stride = inner;
      task.segment_size = inner;
      task.b = pairs + column * inner;
      task.start = bias != nullptr ? bias + column : nullptr;
      task.c = c + column;
      task.c_stride = columns;
    }
    MultiplyPairs({tasks.data(), static_cast<size_t>(count)}, rows);
  }
  if (activation == Activation::kNone) return;
  // A value that is not a number stays so.
  for (int64_t i = 0; i < rows * columns; ++i) c[i] = c[i] < 0 ? 0 : c[i];
}

}  // namespace atelier::models
