// How a thread computes.
#ifndef ATELIER_MODELS_BASE_COMPUTE_THREAD_H_
#define ATELIER_MODELS_BASE_COMPUTE_THREAD_H_

#if defined(__SSE__)
#include <xmmintrin.h>
#elif defined(__aarch64__)
#include <cstdint>
#endif

namespace atelier::models {

// Denormal numbers count as zero in what the calling thread, and threads that it starts, compute
// from now on: a quiet weight's moments become some, and each costs a hundred usual ones.
inline void FlushDenormals() {
#if defined(__SSE__)
  constexpr unsigned kFlushResults = 0x8000;
  constexpr unsigned kFlushOperands = 0x0040;
  _mm_setcsr(_mm_getcsr() | kFlushResults | kFlushOperands);
#elif defined(__aarch64__)
  constexpr uint64_t kFlush = uint64_t{1} << 24;
  uint64_t control = 0;
  asm volatile("mrs %0, fpcr" : "=r"(control));
  asm volatile("msr fpcr, %0" : : "r"(control | kFlush));
#endif
}

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_COMPUTE_THREAD_H_
