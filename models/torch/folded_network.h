// A trained network with less to compute: batch norm that follows a convolution directly is part of
// its weights. For classifying alone. Private to models/: it needs LibTorch's headers. Thread-safe:
// a free function.
#ifndef ATELIER_MODELS_TORCH_FOLDED_NETWORK_H_
#define ATELIER_MODELS_TORCH_FOLDED_NETWORK_H_

#include <vector>

#include "models/network/layer_plan.h"
#include "models/network/trained_model.h"
#include "models/torch/libtorch.h"

namespace atelier::models {

struct FoldedNetwork {
  // Without the batch norms that were folded; the convolutions before them have a bias.
  // Descriptions of tensors and counts are those of the network as it was trained.
  NetworkPlan plan;
  // In the order of the plan's layers.
  std::vector<at::Tensor> tensors;
};

// Requires a valid model. Throws what LibTorch throws.
FoldedNetwork FoldBatchNorms(const TrainedModel& model);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_TORCH_FOLDED_NETWORK_H_
