// Requests of classification by both protocols, through the validation that the server makes. The
// first byte chooses the message.
#include "atelier/v1/inference_service.pb.h"
#include "inference/grpc_service.pb.h"
#include "server/rpc/conversions.h"
#include "server/rpc/infer_messages.h"
#include "server/serving/image_input.h"
#include "tests/fuzz/input.h"

namespace {

void Check(const absl::StatusOr<atelier::serving::ImageInput>& input) {
  if (!input.ok()) return;
  atelier::serving::InputLimits limits;
  limits.decode.max_pixels = limits.max_file_pixels = 1 << 16;
  (void)atelier::serving::CheckImages(*input, {.channels = 1, .height = 4, .width = 4}, limits, {});
}

template <typename Request>
void CheckRequest(const uint8_t* data, size_t size) {
  Request request;
  if (request.ParseFromArray(data, static_cast<int>(size))) {
    Check(atelier::rpc::InputOf(request));
  }
}

void CheckInfer(const uint8_t* data, size_t size) {
  inference::ModelInferRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) return;
  (void)atelier::rpc::ParseInfer(request);
  (void)atelier::rpc::AsksForFinalResponse(request);
}

}  // namespace

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  switch (data[0] % 4) {
    case 0:
      CheckInfer(data + 1, size - 1);
      break;
    case 1:
      CheckRequest<atelier::v1::ClassifyRequest>(data + 1, size - 1);
      break;
    case 2:
      CheckRequest<atelier::v1::GetFeatureMapsRequest>(data + 1, size - 1);
      break;
    default:
      CheckRequest<atelier::v1::ExplainRequest>(data + 1, size - 1);
  }
  return 0;
}
