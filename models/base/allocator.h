// The C library's allocator, set up for programs that train.
#ifndef ATELIER_MODELS_BASE_ALLOCATOR_H_
#define ATELIER_MODELS_BASE_ALLOCATOR_H_

namespace atelier::models {

// Makes malloc keep freed memory instead of giving it back: a training step frees and asks again
// for the same tensors of megabytes, and clearing their pages costs a quarter of the step. For the
// whole process, so it is for its main to call, once, early. Does nothing where there is no glibc.
void KeepFreedMemory();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_ALLOCATOR_H_
