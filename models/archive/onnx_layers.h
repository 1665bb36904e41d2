// The layers of a network as nodes of an ONNX graph. Private to models/archive: it needs ONNX's
// headers. Thread-safe: free functions.
#ifndef ATELIER_MODELS_ARCHIVE_ONNX_LAYERS_H_
#define ATELIER_MODELS_ARCHIVE_ONNX_LAYERS_H_

#include <onnx/onnx_pb.h>

#include <string>

#include "models/network/layer_plan.h"

namespace atelier::models {

// Adds the nodes that standardise the input called so, if the network does so, and their constants;
// the name of what they give, else the input's.
std::string AddOnnxStandardization(const v1::Network& network, const std::string& input,
                                   onnx::GraphProto* graph);

// Adds the nodes from the input called so to the output called so, a softmax over the classes, and
// the constants that they need. Initialisers of the weights, called as in TensorSpec, are the
// caller's. Operators of kOnnxOpset. Requires a valid plan.
void AddOnnxLayers(const NetworkPlan& plan, const std::string& input, const std::string& output,
                   onnx::GraphProto* graph);

}  // namespace atelier::models

#endif  // ATELIER_MODELS_ARCHIVE_ONNX_LAYERS_H_
