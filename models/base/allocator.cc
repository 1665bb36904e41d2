#include "models/base/allocator.h"

#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace atelier::models {

void KeepFreedMemory() {
#if defined(__GLIBC__)
  // The highest threshold that glibc accepts; larger blocks are mapped and unmapped each time.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
}

}  // namespace atelier::models
