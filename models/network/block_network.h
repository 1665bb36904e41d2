// The shape that most small classifiers have, in few numbers: blocks of convolution, activation,
// batch norm and pooling, then dense layers. What presets and the options of `atelier train` choose
// from. Values; no LibTorch.
#ifndef ATELIER_MODELS_NETWORK_BLOCK_NETWORK_H_
#define ATELIER_MODELS_NETWORK_BLOCK_NETWORK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "atelier/v1/network.pb.h"

namespace atelier::models {

struct ConvBlock {
  // Output channels.
  int64_t filters = 0;
  // Edge and stride of the pooling; 0 or 1 for none.
  int64_t pool = 0;
  // Squeeze and excitation with that reduction; 0 for none.
  int64_t squeeze = 0;
  // This block and the skip - 1 before it are a residual block, of which it is the last; 0 for
  // none.
  int64_t skip = 0;

  friend bool operator==(const ConvBlock&, const ConvBlock&) = default;
};

struct BlockNetwork {
  std::vector<ConvBlock> blocks;
  // Widths of the hidden dense layers, each followed by the activation and dropout.
  std::vector<int64_t> dense_layers;
  // Whether the dense layers get each channel's mean in place of the last block's whole output.
  bool average_features = false;
  // Edge of every convolution's kernel.
  int64_t kernel = 3;
  v1::Activation activation = v1::ACTIVATION_RELU;
  bool batch_norm = true;
  double batch_norm_epsilon = 1e-3;
  bool average_pooling = false;
  // Whether each block but the first is a residual block of its own, up to its batch norm.
  bool residual = false;

  // Its layers. Blocks whose skips do not lie in each other like brackets, or reach before the
  // first block, become whatever Architecture::Validate refuses or a network without that skip.
  v1::Network ToNetwork(const std::string& name) const;

  friend bool operator==(const BlockNetwork&, const BlockNetwork&) = default;
};

}  // namespace atelier::models

#endif  // ATELIER_MODELS_NETWORK_BLOCK_NETWORK_H_
