#include "models/network/block_network.h"

#include <cstddef>

namespace atelier::models {
namespace {

using Layers = google::protobuf::RepeatedPtrField<v1::Layer>;

// Up to batch norm.
void AddConvolution(const BlockNetwork& network, const ConvBlock& block, Layers& layers) {
  v1::Convolution& convolution = *layers.Add()->mutable_convolution();
  convolution.set_filters(static_cast<int32_t>(block.filters));
  if (network.kernel != 3) convolution.set_kernel(static_cast<int32_t>(network.kernel));
  layers.Add()->set_activation(network.activation);
  if (network.batch_norm) {
    v1::BatchNorm& norm = *layers.Add()->mutable_batch_norm();
    if (network.batch_norm_epsilon != BlockNetwork().batch_norm_epsilon) {
      norm.set_epsilon(network.batch_norm_epsilon);
    }
  }
}

void AddBlock(const BlockNetwork& network, size_t i, Layers& layers) {
  const ConvBlock& block = network.blocks[i];
  const bool residual = network.residual && i > 0;
  AddConvolution(network, block,
                 residual ? *layers.Add()->mutable_residual()->mutable_layers() : layers);
  if (block.pool >= 2) {
    v1::Layer& layer = *layers.Add();
    v1::Pooling& pooling =
        network.average_pooling ? *layer.mutable_average_pooling() : *layer.mutable_max_pooling();
    pooling.set_size(static_cast<int32_t>(block.pool));
  }
  if (block.squeeze > 0) {
    layers.Add()->mutable_squeeze_excitation()->set_reduction(static_cast<int32_t>(block.squeeze));
  }
}

// Adds the blocks from `begin` to `end`: the last residual block that ends there, and before it the
// rest.
void AddBlocks(const BlockNetwork& network, size_t begin, size_t end, bool inside, Layers& layers) {
  for (size_t i = begin; i < end; ++i) {
    // The longest residual block that begins here.
    size_t last = end;
    while (last > i && (network.blocks[last - 1].skip != static_cast<int64_t>(last - i) ||
                        (inside && i == begin && last == end))) {
      --last;
    }
    if (last == i) {
      AddBlock(network, i, layers);
      continue;
    }
    AddBlocks(network, i, last, /*inside=*/true,
              *layers.Add()->mutable_residual()->mutable_layers());
    i = last - 1;
  }
}

}  // namespace

v1::Network BlockNetwork::ToNetwork(const std::string& name) const {
  v1::Network network;
  network.set_name(name);
  Layers& layers = *network.mutable_layers();
  AddBlocks(*this, 0, blocks.size(), /*inside=*/false, layers);
  if (average_features) layers.Add()->set_global_pooling(v1::GLOBAL_POOLING_AVERAGE);
  if (!average_features && !blocks.empty()) layers.Add()->mutable_flatten();
  for (const int64_t units : dense_layers) {
    layers.Add()->mutable_dense()->set_units(static_cast<int32_t>(units));
    layers.Add()->set_activation(activation);
    layers.Add()->mutable_dropout();
  }
  return network;
}

}  // namespace atelier::models
