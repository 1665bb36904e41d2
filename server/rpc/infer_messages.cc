#include "server/rpc/infer_messages.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/rpc/grpc_server.h"

namespace atelier::rpc {
namespace {

using inference::InferTensorContents;
using inference::ModelInferRequest;
using inference::ModelInferResponse;

absl::Status Wrong(absl::string_view what) { return absl::InvalidArgumentError(what); }

// Numbers in the fields of a tensor's contents, all types together.
int NumbersIn(const InferTensorContents& contents) {
  return contents.bool_contents_size() + contents.int_contents_size() +
         contents.int64_contents_size() + contents.uint_contents_size() +
         contents.uint64_contents_size() + contents.fp32_contents_size() +
         contents.fp64_contents_size() + contents.bytes_contents_size();
}

absl::Status ReadRaw(const std::string& raw, InferCall* call) {
  if (!call->is_float) {
    call->bytes =
        absl::MakeConstSpan(reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size());
    return absl::OkStatus();
  }
  if (raw.size() % sizeof(float) != 0) {
    return Wrong(absl::StrCat("raw_input_contents has ", raw.size(),
                              " bytes; FP32 numbers have four bytes each"));
  }
  // A string's bytes are aligned for any number.
  call->floats =
      absl::MakeConstSpan(reinterpret_cast<const float*>(raw.data()), raw.size() / sizeof(float));
  return absl::OkStatus();
}

absl::Status ReadTyped(const InferTensorContents& contents, InferCall* call) {
  const int numbers =
      call->is_float ? contents.fp32_contents_size() : contents.uint_contents_size();
  if (NumbersIn(contents) != numbers) {
    return Wrong(absl::StrCat("the contents of input '", kInferInput,
                              "' are not in the field of its datatype, ",
                              call->is_float ? "fp32_contents" : "uint_contents"));
  }
  if (call->is_float) {
    call->floats = contents.fp32_contents();
    return absl::OkStatus();
  }
  call->converted.reserve(static_cast<std::size_t>(numbers));
  for (const std::uint32_t value : contents.uint_contents()) {
    if (value > 255)
      return Wrong(absl::StrCat("a UINT8 number is ", value, "; it must be 0 to 255"));
    call->converted.push_back(static_cast<std::uint8_t>(value));
  }
  call->bytes = call->converted;
  return absl::OkStatus();
}

absl::Status ReadInput(const ModelInferRequest& request, InferCall* call) {
  if (request.inputs_size() != 1) {
    return Wrong(absl::StrCat("there are ", request.inputs_size(), " inputs; this model has one, '",
                              kInferInput, "'"));
  }
  const auto& input = request.inputs(0);
  if (input.name() != kInferInput) {
    return Wrong(
        absl::StrCat("there is no input '", input.name(), "'; this model has '", kInferInput, "'"));
  }
  if (input.datatype() != "FP32" && input.datatype() != "UINT8") {
    return Wrong(absl::StrCat("input '", kInferInput, "' is ", input.datatype(),
                              "; it must be FP32 from 0 to 1, or UINT8"));
  }
  call->is_float = input.datatype() == "FP32";
  call->shape.assign(input.shape().begin(), input.shape().end());
  const bool raw = request.raw_input_contents_size() > 0;
  if (raw && (input.has_contents() || request.raw_input_contents_size() != 1)) {
    return Wrong(
        "raw_input_contents must have one entry per input, and then no input may have contents");
  }
  return raw ? ReadRaw(request.raw_input_contents(0), call) : ReadTyped(input.contents(), call);
}

absl::Status ReadOutput(const ModelInferRequest& request, InferCall* call) {
  if (request.outputs_size() == 0) return absl::OkStatus();
  if (request.outputs_size() > 1) {
    return Wrong(absl::StrCat("there are ", request.outputs_size(),
                              " outputs; this model has one, '", kInferOutput, "'"));
  }
  const auto& output = request.outputs(0);
  if (output.name() != kInferOutput) {
    return Wrong(absl::StrCat("there is no output '", output.name(), "'; this model has '",
                              kInferOutput, "'"));
  }
  const auto found = output.parameters().find("classification");
  if (found == output.parameters().end()) return absl::OkStatus();
  call->classification = found->second.int64_param();
  if (call->classification < 1) {
    return Wrong("the parameter 'classification' must be an int64 of 1 or more");
  }
  return absl::OkStatus();
}

absl::Status ReadTimeout(const ModelInferRequest& request, InferCall* call) {
  const auto found = request.parameters().find("timeout");
  if (found == request.parameters().end()) return absl::OkStatus();
  const auto& value = found->second;
  const std::int64_t microseconds = value.has_uint64_param()
                                        ? static_cast<std::int64_t>(value.uint64_param())
                                        : value.int64_param();
  if (microseconds < 0) return Wrong("the parameter 'timeout' must be 0 or more microseconds");
  if (microseconds > 0) call->timeout = absl::Microseconds(microseconds);
  return absl::OkStatus();
}

absl::Status ReadCalibrated(const ModelInferRequest& request, InferCall* call) {
  const auto found = request.parameters().find("calibrated");
  if (found == request.parameters().end()) return absl::OkStatus();
  if (!found->second.has_bool_param()) {
    return Wrong("the parameter 'calibrated' must be a bool");
  }
  call->calibrated = found->second.bool_param();
  return absl::OkStatus();
}

inference::StatisticDuration ToProto(const serving::Tally& tally) {
  inference::StatisticDuration proto;
  proto.set_count(tally.count);
  proto.set_ns(static_cast<std::uint64_t>(absl::ToInt64Nanoseconds(tally.time)));
  return proto;
}

// An element of a BYTES tensor.
void AppendElement(absl::string_view element, std::string* raw) {
  const auto size = static_cast<std::uint32_t>(element.size());
  char bytes[sizeof(size)];
  std::memcpy(bytes, &size, sizeof(size));
  raw->append(bytes, sizeof(size));
  raw->append(element.data(), element.size());
}

std::string Classification(const serving::ClassifyResult& result, int classes) {
  const std::vector<std::string>& names = result.version->engine->class_names();
  std::string raw;
  for (std::size_t image = 0; image < result.images; ++image) {
    for (const serving::RankedClass& entry : result.Rank(image, classes)) {
      AppendElement(absl::StrCat(entry.probability, ":", entry.index, ":",
                                 names[static_cast<std::size_t>(entry.index)]),
                    &raw);
    }
  }
  return raw;
}

}  // namespace

std::int64_t InferBatchOf(const models::ImageShape& shape) {
  // Names and parameters take some of the message.
  constexpr std::int64_t kPixelBytes = kMaxRequestBytes - (64 << 10);
  const auto image = shape.size() * static_cast<std::int64_t>(sizeof(float));
  return std::clamp<std::int64_t>(kPixelBytes / image, 1, kMaxInferBatch);
}

absl::StatusOr<InferCall> ParseInfer(const ModelInferRequest& request) {
  InferCall call;
  call.model = request.model_name();
  call.version = request.model_version();
  if (call.model.empty()) return Wrong("model_name is empty");
  absl::Status status = ReadInput(request, &call);
  if (status.ok()) status = ReadOutput(request, &call);
  if (status.ok()) status = ReadTimeout(request, &call);
  if (status.ok()) status = ReadCalibrated(request, &call);
  if (!status.ok()) return status;
  if (call.shape.size() != 4 || call.shape[0] < 1) {
    return Wrong(absl::StrCat("the shape of input '", kInferInput, "' is [",
                              absl::StrJoin(call.shape, ","),
                              "]; it must be [images, channels, rows, columns]"));
  }
  if (call.shape[0] > kMaxInferBatch) {
    return Wrong(absl::StrCat("there are ", call.shape[0], " images; a request may have ",
                              kMaxInferBatch, " at most"));
  }
  return call;
}

absl::Status CheckInfer(const InferCall& call, const serving::Engine& engine) {
  const models::ImageShape& shape = engine.input_shape();
  const models::ImageShape given = {call.shape[1], call.shape[2], call.shape[3]};
  if (given != shape) {
    return Wrong(absl::StrCat("the shape of input '", kInferInput, "' is [",
                              absl::StrJoin(call.shape, ","), "]; this model takes [-1,",
                              shape.channels, ",", shape.height, ",", shape.width, "]"));
  }
  const std::size_t numbers = call.is_float ? call.floats.size() : call.bytes.size();
  const auto expected = static_cast<std::size_t>(call.shape[0] * shape.size());
  if (numbers != expected) {
    return Wrong(absl::StrCat("input '", kInferInput, "' has ", numbers, " numbers; its shape has ",
                              expected));
  }
  const auto classes = static_cast<std::int64_t>(engine.class_names().size());
  if (call.classification > classes) {
    return Wrong(absl::StrCat("the parameter 'classification' is ", call.classification,
                              "; this model has ", classes, " classes"));
  }
  return absl::OkStatus();
}

bool AsksForFinalResponse(const ModelInferRequest& request) {
  const auto found = request.parameters().find("triton_enable_empty_final_response");
  return found != request.parameters().end() && found->second.bool_param();
}

void MarkFinalResponse(ModelInferResponse* response) {
  (*response->mutable_parameters())["triton_final_response"].set_bool_param(true);
}

void FillInfer(const ModelInferRequest& request, std::int64_t classification,
               const serving::ClassifyResult& result, ModelInferResponse* response) {
  const serving::Version& version = result.version->version;
  response->set_model_name(version.model);
  response->set_model_version(absl::StrCat(version.number));
  response->set_id(request.id());
  const auto set = [&](const char* name, std::int64_t value) {
    (*response->mutable_parameters())[name].set_int64_param(value);
  };
  set("queue_ns", absl::ToInt64Nanoseconds(result.queue_time));
  set("compute_ns", absl::ToInt64Nanoseconds(result.input_time + result.compute_time));
  set("largest_batch", static_cast<std::int64_t>(result.largest_batch));
  if (result.temperature.has_value()) {
    (*response->mutable_parameters())["temperature"].set_double_param(*result.temperature);
  }
  auto* output = response->add_outputs();
  output->set_name(kInferOutput);
  output->add_shape(static_cast<std::int64_t>(result.images));
  if (classification > 0) {
    output->set_datatype("BYTES");
    output->add_shape(classification);
    response->add_raw_output_contents(Classification(result, static_cast<int>(classification)));
    return;
  }
  output->set_datatype("FP32");
  const std::vector<float>& values = result.probabilities;
  output->add_shape(static_cast<std::int64_t>(values.size() / result.images));
  response->add_raw_output_contents(values.data(), values.size() * sizeof(float));
}

inference::ModelMetadataResponse InferMetadata(const serving::ServedVersion& served,
                                               const std::vector<serving::Version>& versions) {
  inference::ModelMetadataResponse metadata;
  metadata.set_name(served.version.model);
  for (const serving::Version& version : versions) {
    metadata.add_versions(absl::StrCat(version.number));
  }
  metadata.set_platform(kInferPlatform);
  const models::ImageShape& shape = served.engine->input_shape();
  auto* input = metadata.add_inputs();
  input->set_name(kInferInput);
  input->set_datatype("FP32");
  for (const std::int64_t extent : {std::int64_t{-1}, shape.channels, shape.height, shape.width}) {
    input->add_shape(extent);
  }
  auto* output = metadata.add_outputs();
  output->set_name(kInferOutput);
  output->set_datatype("FP32");
  output->add_shape(-1);
  output->add_shape(static_cast<std::int64_t>(served.engine->class_names().size()));
  return metadata;
}

inference::ModelConfig InferConfig(const serving::ServedVersion& served,
                                   const serving::Classifier::Options& options) {
  inference::ModelConfig config;
  config.set_name(served.version.model);
  config.set_platform(kInferPlatform);
  config.set_backend(kInferPlatform);
  config.mutable_version_policy()->mutable_all();
  config.set_max_batch_size(static_cast<std::int32_t>(InferBatchOf(served.engine->input_shape())));
  const models::ImageShape& shape = served.engine->input_shape();
  auto* input = config.add_input();
  input->set_name(kInferInput);
  input->set_data_type(inference::TYPE_FP32);
  input->set_format(inference::ModelInput::FORMAT_NCHW);
  for (const std::int64_t extent : {shape.channels, shape.height, shape.width}) {
    input->add_dims(extent);
  }
  auto* output = config.add_output();
  output->set_name(kInferOutput);
  output->set_data_type(inference::TYPE_FP32);
  output->add_dims(static_cast<std::int64_t>(served.engine->class_names().size()));
  auto* group = config.add_instance_group();
  group->set_name(served.version.model);
  group->set_count(options.batching.threads);
  group->set_kind(inference::ModelInstanceGroup::KIND_CPU);
  auto* batching = config.mutable_dynamic_batching();
  batching->add_preferred_batch_size(static_cast<std::int32_t>(options.batching.queue.max_batch));
  batching->set_max_queue_delay_microseconds(
      static_cast<std::uint64_t>(absl::ToInt64Microseconds(options.batching.queue.max_delay)));
  return config;
}

inference::ModelStatistics InferStatistics(const serving::ServedVersion& served) {
  const serving::VersionCounts counts = served.statistics.Read();
  inference::ModelStatistics proto;
  proto.set_name(served.version.model);
  proto.set_version(absl::StrCat(served.version.number));
  if (counts.last_request > absl::UnixEpoch()) {
    proto.set_last_inference(static_cast<std::uint64_t>(absl::ToUnixMillis(counts.last_request)));
  }
  proto.set_inference_count(counts.images);
  auto* requests = proto.mutable_inference_stats();
  *requests->mutable_success() = ToProto(counts.success);
  *requests->mutable_fail() = ToProto(counts.fail);
  *requests->mutable_queue() = ToProto(counts.queue);
  *requests->mutable_compute_input() = ToProto(counts.input);
  *requests->mutable_compute_infer() = ToProto(counts.compute);
  requests->mutable_compute_output()->set_count(counts.success.count);
  std::uint64_t executions = 0;
  for (const auto& [size, tally] : counts.batches) {
    auto* batch = proto.add_batch_stats();
    batch->set_batch_size(static_cast<std::uint64_t>(size));
    *batch->mutable_compute_infer() = ToProto(tally);
    batch->mutable_compute_input()->set_count(tally.count);
    batch->mutable_compute_output()->set_count(tally.count);
    executions += tally.count;
  }
  proto.set_execution_count(executions);
  return proto;
}

inference::RepositoryIndexResponse::ModelIndex InferIndex(
    const serving::VersionTable::Standing& standing) {
  inference::RepositoryIndexResponse::ModelIndex index;
  index.set_name(standing.version.model);
  index.set_version(absl::StrCat(standing.version.number));
  switch (standing.state) {
    case serving::VersionTable::State::kReady:
      index.set_state("READY");
      break;
    case serving::VersionTable::State::kLoading:
      index.set_state("LOADING");
      break;
    case serving::VersionTable::State::kUnloaded:
    case serving::VersionTable::State::kFailed:
      index.set_state("UNAVAILABLE");
      break;
  }
  index.set_reason(standing.reason);
  return index;
}

}  // namespace atelier::rpc
