// How a thread computes with LibTorch and our kernels. Without LibTorch's headers.
#ifndef ATELIER_MODELS_BASE_COMPUTE_THREAD_H_
#define ATELIER_MODELS_BASE_COMPUTE_THREAD_H_

namespace atelier::models {

// One LibTorch thread for what the calling thread computes from now on: at this size its own
// threads cost more than they bring, and results would depend on their number. Denormal numbers
// count as zero there: a quiet weight's moments become some, and each costs a hundred usual ones.
void UseOneTorchThread();

}  // namespace atelier::models

#endif  // ATELIER_MODELS_BASE_COMPUTE_THREAD_H_
