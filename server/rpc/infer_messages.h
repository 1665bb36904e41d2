// Between the Open Inference Protocol's messages and what serving speaks. Models have one input
// `images` (FP32 in [0,1] or UINT8, [N, C, H, W]) and one output `probabilities` (FP32, [N,
// classes]). Thread-safe: free functions and values.
#ifndef ATELIER_SERVER_RPC_INFER_MESSAGES_H_
#define ATELIER_SERVER_RPC_INFER_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "inference/grpc_service.pb.h"
#include "server/serving/classifier.h"

namespace atelier::rpc {

inline constexpr char kInferInput[] = "images";
inline constexpr char kInferOutput[] = "probabilities";
inline constexpr char kInferPlatform[] = "atelier";
// Images of one request, whatever their size.
inline constexpr std::int64_t kMaxInferBatch = 256;

// Images of that size which fit into one request as FP32, at most kMaxInferBatch: what the
// configuration of a model tells clients.
std::int64_t InferBatchOf(const models::ImageShape& shape);

// What a ModelInferRequest asks for. Views the request.
struct InferCall {
  std::string model;
  std::string version;
  // Exactly one of the two has numbers, or is right to have none.
  bool is_float = false;
  absl::Span<const float> floats;
  absl::Span<const std::uint8_t> bytes;
  std::vector<std::uint8_t> converted;  // What `bytes` views if they did not come raw.
  std::vector<std::int64_t> shape;
  std::int64_t classification = 0;  // Classes of the classification extension; 0 without.
  bool calibrated = false;          // As v1.ClassifyRequest's, by the parameter `calibrated`.
  absl::Duration timeout = absl::InfiniteDuration();
};

// INVALID_ARGUMENT for everything that is wrong whatever the model: names, types, number of inputs,
// raw contents mixed with typed ones, parameters, more images than kMaxInferBatch.
absl::StatusOr<InferCall> ParseInfer(const inference::ModelInferRequest& request);

// INVALID_ARGUMENT unless the call's shape, size and classification are right for the model.
absl::Status CheckInfer(const InferCall& call, const serving::Engine& engine);

// Whether a stream's request wants to be told which answer is its last (Triton's
// `triton_enable_empty_final_response`), and saying so. Here every request has one answer.
bool AsksForFinalResponse(const inference::ModelInferRequest& request);
void MarkFinalResponse(inference::ModelInferResponse* response);

void FillInfer(const inference::ModelInferRequest& request, std::int64_t classification,
               const serving::ClassifyResult& result, inference::ModelInferResponse* response);

inference::ModelMetadataResponse InferMetadata(const serving::ServedVersion& served,
                                               const std::vector<serving::Version>& versions);
inference::ModelConfig InferConfig(const serving::ServedVersion& served,
                                   const serving::Classifier::Options& options);
inference::ModelStatistics InferStatistics(const serving::ServedVersion& served);
inference::RepositoryIndexResponse::ModelIndex InferIndex(
    const serving::VersionTable::Standing& standing);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_INFER_MESSAGES_H_
