#include "models/kernels/coverage.h"

#include <stdexcept>
#include <string>

#include "absl/strings/str_cat.h"

namespace atelier::models {
namespace {

// The block with nothing but what the kernels know. Name here only what they compute.
ConvBlock Known(const ConvBlock& block) {
  ConvBlock known;
  known.filters = block.filters;
  known.pool = block.pool;
  known.squeeze = block.squeeze;
  known.skip = block.skip;
  return known;
}

// The same of the whole network, whose blocks are as they are.
Architecture Known(const Architecture& architecture) {
  Architecture known;
  known.name = architecture.name;
  known.input = architecture.input;
  known.classes = architecture.classes;
  known.conv_blocks = architecture.conv_blocks;
  known.average_features = architecture.average_features;
  known.dense_layers = architecture.dense_layers;
  known.dropout = architecture.dropout;
  known.batch_norm_epsilon = architecture.batch_norm_epsilon;
  return known;
}

absl::Status CoverArchitecture(const Architecture& architecture) {
  for (size_t i = 0; i < architecture.conv_blocks.size(); ++i) {
    const ConvBlock& block = architecture.conv_blocks[i];
    if (block == Known(block)) continue;
    return absl::UnimplementedError(
        absl::StrCat("conv block ", i + 1,
                     " is more than the kernels compute: 3x3 convolutions with stride 1 in one "
                     "group, ReLU, batch norm, max pooling, squeeze and excitation, a skip"));
  }
  if (architecture == Known(architecture)) return absl::OkStatus();
  return absl::UnimplementedError("the network has a property that the kernels do not know");
}

absl::Status CoverDevice(Device device) {
  if (device == Device::kCpu) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("the kernels compute on the processor, not on ", DeviceName(device)));
}

}  // namespace

absl::Status KernelsCoverTraining(const Architecture& architecture, Precision precision,
                                  Device device) {
  if (precision != Precision::kFloat32) {
    return absl::UnimplementedError(
        absl::StrCat("the kernels train in float32, not in ", PrecisionName(precision)));
  }
  return KernelsCoverInference(architecture, device);
}

absl::Status KernelsCoverInference(const Architecture& architecture, Device device) {
  if (absl::Status status = CoverDevice(device); !status.ok()) return status;
  return CoverArchitecture(architecture);
}

void RequireCovered(const absl::Status& coverage) {
  if (!coverage.ok()) throw std::logic_error(std::string(coverage.message()));
}

}  // namespace atelier::models
