// The C library's allocator, set up for programs that train, classify or send large files.
#ifndef ATELIER_MODELS_BASE_ALLOCATOR_H_
#define ATELIER_MODELS_BASE_ALLOCATOR_H_

#include <cstdint>

namespace atelier::models {

// Makes malloc keep up to `most_bytes` (at most 2^30) of freed memory in each of its arenas instead
// of returning it to the kernel: a training step frees and allocates the same tensors of megabytes
// again and again, as do a batch that LibTorch classifies and the pieces of an upload, and clearing
// their pages costs a quarter of the step. For the whole process, so it is for its main to call,
// once, early. Does nothing without glibc.
void KeepFreedMemory(int64_t most_bytes);

// Returns freed memory to the kernel if this process holds more than `most_bytes` of it. What was
// freed below the last block in use of an arena is not returned otherwise: after many calls at once
// it would stay for good. Threads that allocate meanwhile wait, some milliseconds. Does nothing
// without glibc.
void ReturnFreedMemory(int64_t most_bytes);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_ALLOCATOR_H_
