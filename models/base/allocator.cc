#include "models/base/allocator.h"

#include <unistd.h>

#include <fstream>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace atelier::models {
namespace {

// Of this process, without what is mapped from files; 0 if it is not known.
int64_t AnonymousBytes() {
  int64_t all = 0;
  int64_t resident = 0;
  int64_t of_files = 0;
  std::ifstream("/proc/self/statm") >> all >> resident >> of_files;
  return (resident - of_files) * sysconf(_SC_PAGESIZE);
}

}  // namespace

void KeepFreedMemory([[maybe_unused]] int64_t most_bytes) {
#if defined(__GLIBC__)
  // The highest threshold that glibc accepts is 32 MiB; larger blocks are mapped and unmapped each
  // time.
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(most_bytes));
  mallopt(M_TOP_PAD, static_cast<int>(most_bytes / 16));
#endif
}

void ReturnFreedMemory([[maybe_unused]] int64_t most_bytes) {
#if defined(__GLIBC__)
  // `fordblks` counts what was returned before as well, so what is held is seen by the kernel
  // alone.
  const int64_t held = AnonymousBytes();
  if (held <= most_bytes) return;  // mallinfo2 walks through what is free, under the arenas' locks.
  const struct mallinfo2 info = mallinfo2();
  const auto used = static_cast<int64_t>(info.uordblks + info.hblkhd);
  if (held - used > most_bytes) malloc_trim(0);
#endif
}

}  // namespace atelier::models
