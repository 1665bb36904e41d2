#include "models/kernels/coverage.h"

#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "models/kernels/pair_products.h"
#include "models/network/layer_plan.h"

namespace atelier::models {
namespace {

using Kind = v1::Layer::KindCase;

absl::Status Lacks(const LayerPlan& layer) {
  return absl::UnimplementedError(
      absl::StrCat(Title(layer),
                   " is beyond the kernels; they compute blocks of a 3x3 convolution with stride 1 "
                   "in one group, ReLU, batch norm, max pooling, squeeze and excitation, residual "
                   "blocks of those, then dense layers with ReLU and dropout"));
}

bool IsPlain(const v1::Convolution& convolution) {
  return convolution.kernel() == 3 && convolution.kernel_width() == 3 &&
         convolution.stride() == 1 && convolution.dilation() == 1 && convolution.groups() == 1 &&
         convolution.padding() == v1::PADDING_SAME && convolution.bias();
}

bool IsPlain(const Window& window) {
  return window.height == window.width && window.row_stride == window.height &&
         window.column_stride == window.width && window.top == 0 && window.left == 0;
}

// Reads layers one after the other. Name here only what the kernels compute.
class Reader {
 public:
  Reader(const std::vector<LayerPlan>& layers, BlockNetwork* shape)
      : layers_(layers), shape_(shape) {}

  bool AtEnd() const { return next_ == layers_.size(); }
  // The next layer; requires one.
  const LayerPlan& next() const { return layers_[next_]; }
  // Whether the next layer is of that kind.
  bool At(Kind kind) const { return !AtEnd() && next().kind() == kind; }
  // The layer, if it is of that kind; then the one after it is next.
  const LayerPlan* Take(Kind kind) { return At(kind) ? &layers_[next_++] : nullptr; }
  absl::Status Lack() const { return Lacks(AtEnd() ? layers_.back() : next()); }

  bool TakeRelu() {
    if (!At(Kind::kActivation) || next().layer.activation() != v1::ACTIVATION_RELU) return false;
    ++next_;
    return true;
  }

  // All blocks that follow each other.
  absl::Status ReadBlocks(bool inside) {
    while (At(Kind::kConvolution) || At(Kind::kResidual)) {
      const absl::Status status =
          At(Kind::kConvolution) ? ReadBlock() : ReadResidual(*Take(Kind::kResidual), inside);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

 private:
  absl::Status ReadBlock() {
    ConvBlock block;
    if (!IsPlain(next().layer.convolution())) return Lack();
    block.filters = Take(Kind::kConvolution)->output.channels;
    if (!TakeRelu() || !At(Kind::kBatchNorm)) return Lack();
    const double epsilon = next().layer.batch_norm().epsilon();
    if (!shape_->blocks.empty() && epsilon != shape_->batch_norm_epsilon) return Lack();
    shape_->batch_norm_epsilon = epsilon;
    ++next_;
    if (At(Kind::kMaxPooling)) {
      if (!IsPlain(next().window)) return Lack();
      block.pool = Take(Kind::kMaxPooling)->window.height;
    }
    if (const LayerPlan* layer = Take(Kind::kSqueezeExcitation)) {
      block.squeeze = layer->layer.squeeze_excitation().reduction();
    }
    shape_->blocks.push_back(block);
    return absl::OkStatus();
  }

  absl::Status ReadResidual(const LayerPlan& residual, bool inside) {
    const size_t before = shape_->blocks.size();
    if (inside || before == 0 || residual.projects()) return Lacks(residual);
    Reader body(residual.body, shape_);
    if (absl::Status status = body.ReadBlocks(/*inside=*/true); !status.ok()) return status;
    if (!body.AtEnd()) return body.Lack();
    shape_->blocks.back().skip = static_cast<int64_t>(shape_->blocks.size() - before);
    return absl::OkStatus();
  }

  const std::vector<LayerPlan>& layers_;
  size_t next_ = 0;
  BlockNetwork* const shape_;
};

// The dense layers but the last, which every network has.
absl::Status ReadDense(Reader& reader, CoveredNetwork& network) {
  BlockNetwork& shape = network.shape;
  while (reader.At(Kind::kDense) && reader.next().name != kOutputLayer) {
    if (!reader.next().layer.dense().bias()) return reader.Lack();
    const int64_t units = reader.Take(Kind::kDense)->output.channels;
    if (!reader.TakeRelu()) return reader.Lack();
    double rate = 0;
    if (reader.At(Kind::kDropout)) rate = reader.next().layer.dropout().rate();
    if (!shape.dense_layers.empty() && rate != network.dropout) return reader.Lack();
    reader.Take(Kind::kDropout);
    network.dropout = rate;
    shape.dense_layers.push_back(units);
  }
  return reader.At(Kind::kDense) ? absl::OkStatus() : reader.Lack();
}

absl::Status CoverDevice(Device device) {
  if (device == Device::kCpu) return absl::OkStatus();
  return absl::UnimplementedError(
      absl::StrCat("the kernels compute on the processor, not on ", DeviceName(device)));
}

}  // namespace

absl::StatusOr<CoveredNetwork> Cover(const Architecture& architecture) {
  const NetworkPlan plan = PlanOf(architecture);
  if (!plan.problems.empty()) return absl::InvalidArgumentError(plan.problems.front());
  CoveredNetwork network;
  network.input = architecture.input;
  network.scales = plan.scales;
  network.classes = architecture.classes;
  Reader reader(plan.layers, &network.shape);
  if (absl::Status status = reader.ReadBlocks(/*inside=*/false); !status.ok()) return status;
  if (!network.shape.blocks.empty() && reader.At(Kind::kGlobalPooling)) {
    if (reader.next().layer.global_pooling() != v1::GLOBAL_POOLING_AVERAGE) return reader.Lack();
    reader.Take(Kind::kGlobalPooling);
    network.shape.average_features = true;
  }
  reader.Take(Kind::kFlatten);
  if (absl::Status status = ReadDense(reader, network); !status.ok()) return status;
  return network;
}

absl::Status KernelsCoverTraining(const Architecture& architecture, Precision precision,
                                  Device device, int64_t freeze) {
  if (freeze > 0) return absl::UnimplementedError("the kernels train all layers and freeze none");
  if (precision == Precision::kBfloat16 && FindPairUnit() == PairUnit::kNone) {
    return absl::UnimplementedError(
        "the kernels train in bfloat16 by AMX or AVX-512 BF16, which this processor has not");
  }
  return KernelsCoverInference(architecture, device);
}

absl::Status KernelsCoverInference(const Architecture& architecture, Device device) {
  if (absl::Status status = CoverDevice(device); !status.ok()) return status;
  return Cover(architecture).status();
}

void RequireCovered(const absl::Status& coverage) {
  if (!coverage.ok()) throw std::logic_error(std::string(coverage.message()));
}

CoveredNetwork RequireCovered(const Architecture& architecture) {
  absl::StatusOr<CoveredNetwork> network = Cover(architecture);
  RequireCovered(network.status());
  return *std::move(network);
}

}  // namespace atelier::models
