#include "models/base/step_profile.h"

namespace atelier::models {

absl::string_view StepPartName(StepPart part) {
  switch (part) {
    case StepPart::kImages:
      return "images";
    case StepPart::kConvolution:
      return "convolution";
    case StepPart::kNormalization:
      return "normalization";
    case StepPart::kDense:
      return "dense";
    case StepPart::kLoss:
      return "loss";
    case StepPart::kDenseGradient:
      return "dense gradient";
    case StepPart::kNormalizationGradient:
      return "normalization gradient";
    case StepPart::kConvolutionInputGradient:
      return "convolution input gradient";
    case StepPart::kConvolutionWeightGradient:
      return "convolution weight gradient";
    case StepPart::kWholePass:
      return "whole pass";
    case StepPart::kOptimizer:
      return "optimizer";
  }
  return "";
}

}  // namespace atelier::models
