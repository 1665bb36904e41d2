#include "models/base/allocator.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace atelier::models {

void KeepFreedMemory([[maybe_unused]] int64_t most_bytes) {
#if defined(__GLIBC__)
  // The highest threshold that glibc accepts is 32 MiB; larger blocks are mapped and unmapped each
  // time.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(most_bytes));
  mallopt(M_TOP_PAD, static_cast<int>(most_bytes / 16));
#endif
}

}  // namespace atelier::models
