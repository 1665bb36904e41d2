#include "models/kernels/pair_layouts.h"

#include <algorithm>
#include <limits>

#include "models/kernels/pair_products.h"

#if defined(__x86_64__)
#if !defined(__clang__)
// GCC 12 takes its own intrinsics' undefined vectors for a mistake.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

// Compiled for these processors whatever the rest is compiled for.
#define ATELIER_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace atelier::models {
namespace {

// `low` and `high` rounded, one after the other.
ATELIER_AVX512 inline __m512i RoundTwo(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// Number i of the lower half beside number i of the upper one.
ATELIER_AVX512 inline __m512i Interleave(__m512i halves) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                         8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, halves);
}

// Exchanges rows and columns of 16 rows of 16 numbers of 32 bits.
ATELIER_AVX512 inline void Transpose16(__m512i (&m)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(m[i], m[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(m[i], m[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    m[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    m[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    m[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    m[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // Now m[4 g + j] has column j of every four, of rows 4 g to 4 g + 3.
  for (int j = 0; j < 4; ++j) {
    t[j] = _mm512_shuffle_i32x4(m[j], m[4 + j], 0x88);
    t[4 + j] = _mm512_shuffle_i32x4(m[j], m[4 + j], 0xDD);
    t[8 + j] = _mm512_shuffle_i32x4(m[8 + j], m[12 + j], 0x88);
    t[12 + j] = _mm512_shuffle_i32x4(m[8 + j], m[12 + j], 0xDD);
  }
  for (int j = 0; j < 4; ++j) {
    m[j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0x88);
    m[8 + j] = _mm512_shuffle_i32x4(t[j], t[8 + j], 0xDD);
    m[4 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0x88);
    m[12 + j] = _mm512_shuffle_i32x4(t[4 + j], t[12 + j], 0xDD);
  }
}

ATELIER_AVX512 inline __m256i Row(int64_t row, int64_t rows, int64_t stride, const Bfloat16* from) {
  if (row >= rows) return _mm256_setzero_si256();
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + row * stride));
}

// Winograd's InputTransform of one row or column of a tile.
ATELIER_AVX512 inline void TransformFour(const __m512 (&d)[4], __m512 (&result)[4]) {
  result[0] = _mm512_sub_ps(d[0], d[2]);
  result[1] = _mm512_add_ps(d[1], d[2]);
  result[2] = _mm512_sub_ps(d[2], d[1]);
  result[3] = _mm512_sub_ps(d[1], d[3]);
}

}  // namespace

ATELIER_AVX512 void RoundNumbers(int64_t count, const float* from, Bfloat16* to) {
  for (int64_t i = 0; i < count; i += 32) {
    _mm512_storeu_si512(to + i,
                        RoundTwo(_mm512_loadu_ps(from + i), _mm512_loadu_ps(from + i + 16)));
  }
}

ATELIER_AVX512 void PairRows(int64_t rows, int64_t columns, const float* from, int64_t stride,
                             int64_t padded_rows, Bfloat16* pairs) {
  for (int64_t row = 0; row < padded_rows; row += 2, pairs += 2 * columns) {
    for (int64_t j = 0; j < columns; j += 16) {
      const float* const at = from + row * stride + j;
      const __m512 first = row < rows ? _mm512_loadu_ps(at) : _mm512_setzero_ps();
      const __m512 second = row + 1 < rows ? _mm512_loadu_ps(at + stride) : _mm512_setzero_ps();
      _mm512_storeu_si512(pairs + 2 * j, Interleave(RoundTwo(first, second)));
    }
  }
}

ATELIER_AVX512 void TransformTiles(const ConvolutionShape& shape, const float* padded_input,
                                   int64_t matrix, Bfloat16* transformed) {
  const int64_t row_stride = shape.padded_row(shape.inputs);
  for (int64_t y = 0; y < shape.height; y += 2) {
    for (int64_t x = 0; x < shape.width; x += 2, transformed += shape.inputs) {
      const float* const corner = padded_input + y * row_stride + x * shape.inputs;
      // What lies past the border is zero.
      const int64_t height = std::min<int64_t>(4, shape.height + 2 - y);
      const int64_t width = std::min<int64_t>(4, shape.width + 2 - x);
      for (int64_t c = 0; c < shape.inputs; c += 16) {
        __m512 half[4][4];
#pragma GCC unroll 4
        for (int64_t j = 0; j < 4; ++j) {
          __m512 column[4];
          __m512 made[4];
#pragma GCC unroll 4
          for (int64_t i = 0; i < 4; ++i) {
            column[i] = i < height && j < width
                            ? _mm512_loadu_ps(corner + i * row_stride + j * shape.inputs + c)
                            : _mm512_setzero_ps();
          }
          TransformFour(column, made);
#pragma GCC unroll 4
          for (int64_t i = 0; i < 4; ++i) half[i][j] = made[i];
        }
#pragma GCC unroll 4
        for (int64_t i = 0; i < 4; ++i) {
          __m512 made[4];
          TransformFour(half[i], made);
#pragma GCC unroll 4
          for (int64_t j = 0; j < 4; ++j) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(transformed + (4 * i + j) * matrix + c),
                                reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(made[j])));
          }
        }
      }
    }
  }
}

ATELIER_AVX512 void TransposeRows(int64_t rows, int64_t columns, const Bfloat16* from,
                                  int64_t padded_rows, Bfloat16* to) {
  for (int64_t c = 0; c < columns; c += 16) {
    for (int64_t r = 0; r < padded_rows; r += 32) {
      __m512i pairs[16];
      for (int64_t i = 0; i < 16; ++i) {
        const __m256i first = Row(r + 2 * i, rows, columns, from + c);
        const __m256i second = Row(r + 2 * i + 1, rows, columns, from + c);
        pairs[i] = _mm512_or_si512(_mm512_cvtepu16_epi32(first),
                                   _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
      }
      Transpose16(pairs);
      for (int64_t i = 0; i < 16; ++i) {
        _mm512_storeu_si512(to + (c + i) * padded_rows + r, pairs[i]);
      }
    }
  }
}

ATELIER_AVX512 void TransposeToPairs(int64_t taps, int64_t inner, int64_t columns, int64_t block,
                                     const float* panels, Bfloat16* pairs) {
  for (int64_t tap = 0; tap < taps; ++tap) {
    for (int64_t panel = 0; panel < columns; panel += kPanel) {
      const float* from = panels + (panel * taps + tap * kPanel) * inner + block * kPanel * kPanel;
      Bfloat16* to =
          pairs + (block * kPanel * taps + (taps - 1 - tap) * kPanel) * columns + panel * kPanel;
      for (int64_t half = 0; half < kPanel; half += 16) {
        __m512i rows[16];
        for (int64_t i = 0; i < 16; ++i) {
          const float* row = from + (half + i) * kPanel;
          rows[i] = RoundTwo(_mm512_loadu_ps(row), _mm512_loadu_ps(row + 16));
        }
        Transpose16(rows);
        for (int64_t i = 0; i < 16; ++i) {
          _mm512_storeu_si512(to + 2 * (i * kPanel + half), rows[i]);
        }
      }
    }
  }
}

ATELIER_AVX512 void StorePixels(int64_t first, int64_t count, const float* rows, int64_t width,
                                int64_t channels, Activation activation, float* image) {
  const __m512 least = activation == Activation::kRelu
                           ? _mm512_setzero_ps()
                           : _mm512_set1_ps(-std::numeric_limits<float>::infinity());
  int64_t x = first % (width + 2);
  float* to = image + (first / (width + 2) * width + x) * channels;
  for (int64_t i = 0; i < count; ++i, rows += kPanel) {
    if (x < width) {
      // In this order a value that is not a number stays so.
      _mm512_storeu_ps(to, _mm512_max_ps(least, _mm512_loadu_ps(rows)));
      _mm512_storeu_ps(to + 16, _mm512_max_ps(least, _mm512_loadu_ps(rows + 16)));
      to += channels;
    }
    if (++x == width + 2) x = 0;
  }
}

}  // namespace atelier::models

#else

namespace atelier::models {

// Never called: there is no PairUnit.
void RoundNumbers(int64_t, const float*, Bfloat16*) {}
void PairRows(int64_t, int64_t, const float*, int64_t, int64_t, Bfloat16*) {}
void TransformTiles(const ConvolutionShape&, const float*, int64_t, Bfloat16*) {}
void TransposeRows(int64_t, int64_t, const Bfloat16*, int64_t, Bfloat16*) {}
void TransposeToPairs(int64_t, int64_t, int64_t, int64_t, const float*, Bfloat16*) {}
void StorePixels(int64_t, int64_t, const float*, int64_t, int64_t, Activation, float*) {}

}  // namespace atelier::models

#endif
