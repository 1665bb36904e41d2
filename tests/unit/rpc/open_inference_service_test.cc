// The Open Inference Protocol over a real channel, with an engine that needs no network.
#include "server/rpc/open_inference_service.h"

#include <cmath>
#include <cstring>
#include <set>
#include <thread>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/rpc_test_server.h"
#include "tests/unit/serving/fakes.h"
#include "tests/unit/wait.h"

namespace atelier::rpc {
namespace {

using inference::ModelInferRequest;
using inference::ModelInferResponse;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The fake engine takes 1×1×2 images and has four classes.
class OpenInferenceServiceTest : public testing::Test {
 protected:
  using Stub = inference::GRPCInferenceService::Stub;

  OpenInferenceServiceTest() {
    folder_.Write("archive", "x");
    versions_.Add({"net", 1, folder_.File("archive"), ""});
    versions_.Add({"net", 2, folder_.File("missing"), ""});
  }

  // Two images as raw bytes.
  static ModelInferRequest Request() {
    ModelInferRequest request;
    request.set_model_name("net");
    request.set_id("seven");
    auto* input = request.add_inputs();
    input->set_name("images");
    input->set_datatype("UINT8");
    for (const int extent : {2, 1, 1, 2}) input->add_shape(extent);
    request.add_raw_input_contents(std::string({1, 0, 2, 0}));
    return request;
  }

  grpc::Status Infer(const ModelInferRequest& request) {
    grpc::ClientContext context;
    return stub_->ModelInfer(&context, request, &response_);
  }

  std::vector<float> Probabilities() const {
    const std::string& raw = response_.raw_output_contents(0);
    std::vector<float> values(raw.size() / sizeof(float));
    std::memcpy(values.data(), raw.data(), raw.size());
    return values;
  }

  template <typename Response, typename Asked>
  Response Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Asked&, Response*),
                const std::type_identity_t<Asked>& request) {
    grpc::ClientContext context;
    Response response;
    status_ = (stub_.get()->*method)(&context, request, &response);
    return response;
  }

  models::TemporaryFolder folder_;
  serving::FakeVersions versions_;
  std::atomic<int> loads_ = 0;
  absl::Notification* loading_gate_ = nullptr;  // If set, loading waits for it.
  absl::Notification gate_;  // Outlives the classifier's threads, which wait for it.
  const std::shared_ptr<serving::FakeEngine> engine_ = std::make_shared<serving::FakeEngine>();
  serving::Classifier classifier_{
      {}, &versions_, [this](const serving::Version&) -> serving::EngineResult {
        ++loads_;
        if (loading_gate_ != nullptr) loading_gate_->WaitForNotification();
        return engine_;
      }};
  TaskQueue tasks_{{.name = "calls", .threads = 1}};
  TaskQueue loading_tasks_{{.name = "loading", .threads = 1}};
  CallMemory memory_{{}};
  OpenInferenceService service_{&classifier_, &tasks_, &loading_tasks_, "1.2.3", &memory_};
  RpcTestServer server_{{{"service", &service_}}};
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_ =
      inference::GRPCInferenceService::NewStub(server_.channel());
  ModelInferResponse response_;
  grpc::Status status_;
};

TEST_F(OpenInferenceServiceTest, AnswersRawBytesWithRawProbabilities) {
  const grpc::Status status = Infer(Request());
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.model_name(), "net");
  EXPECT_EQ(response_.model_version(), "1");
  EXPECT_EQ(response_.id(), "seven");
  ASSERT_EQ(response_.outputs_size(), 1);
  EXPECT_EQ(response_.outputs(0).name(), "probabilities");
  EXPECT_EQ(response_.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response_.outputs(0).shape(), ElementsAre(2, 4));
  EXPECT_FALSE(response_.outputs(0).has_contents());
  const std::vector<float> values = Probabilities();
  ASSERT_EQ(values.size(), 8);
  EXPECT_FLOAT_EQ(values[3], 1.3f);
  EXPECT_FLOAT_EQ(values[4], 2.0f);
  EXPECT_EQ(response_.parameters().at("largest_batch").int64_param(), 2);
}

TEST_F(OpenInferenceServiceTest, CalibratesWhereAParameterAsksForIt) {
  ModelInferRequest request = Request();
  auto& calibrated = (*request.mutable_parameters())["calibrated"];
  calibrated.set_int64_param(1);
  EXPECT_EQ(Infer(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  calibrated.set_bool_param(true);
  EXPECT_EQ(Infer(request).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  engine_->fitted_temperature = 2;
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(response_.parameters().at("temperature").double_param(), 2);
  EXPECT_LT(Probabilities()[3], 1);
  calibrated.set_bool_param(false);
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(response_.parameters().count("temperature"), 0U);
  EXPECT_FLOAT_EQ(Probabilities()[3], 1.3F);
}

TEST_F(OpenInferenceServiceTest, TakesFloatsAndTypedContents) {
  ModelInferRequest floats = Request();
  floats.mutable_inputs(0)->set_datatype("FP32");
  const float pixels[] = {0.5f, 0, 1, 0};
  floats.set_raw_input_contents(0, std::string(reinterpret_cast<const char*>(pixels), 16));
  ASSERT_TRUE(Infer(floats).ok());
  EXPECT_FLOAT_EQ(Probabilities()[0], 0.5f);

  ModelInferRequest typed = floats;
  typed.clear_raw_input_contents();
  for (const float pixel : pixels) {
    typed.mutable_inputs(0)->mutable_contents()->add_fp32_contents(pixel);
  }
  ASSERT_TRUE(Infer(typed).ok());
  EXPECT_FLOAT_EQ(Probabilities()[0], 0.5f);

  ModelInferRequest bytes = Request();
  bytes.clear_raw_input_contents();
  for (const std::uint32_t pixel : {3, 0, 4, 0}) {
    bytes.mutable_inputs(0)->mutable_contents()->add_uint_contents(pixel);
  }
  ASSERT_TRUE(Infer(bytes).ok());
  EXPECT_FLOAT_EQ(Probabilities()[4], 4.0f);
}

TEST_F(OpenInferenceServiceTest, AnswersWithTheClassificationExtension) {
  ModelInferRequest request = Request();
  auto* output = request.add_outputs();
  output->set_name("probabilities");
  (*output->mutable_parameters())["classification"].set_int64_param(2);
  ASSERT_TRUE(Infer(request).ok());
  EXPECT_EQ(response_.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(response_.outputs(0).shape(), ElementsAre(2, 2));
  std::vector<std::string> elements;
  absl::string_view raw = response_.raw_output_contents(0);
  while (raw.size() >= 4) {
    std::uint32_t size = 0;
    std::memcpy(&size, raw.data(), 4);
    elements.emplace_back(raw.substr(4, size));
    raw.remove_prefix(4 + size);
  }
  EXPECT_TRUE(raw.empty());
  EXPECT_THAT(elements, ElementsAre("1.3:3:coat", "1.2:2:boot", "2.3:3:coat", "2.2:2:boot"));
}

TEST_F(OpenInferenceServiceTest, SaysWhatIsWrongWithARequest) {
  std::vector<std::pair<ModelInferRequest, std::string>> cases;
  const auto add = [&](const std::string& word) -> ModelInferRequest& {
    cases.emplace_back(Request(), word);
    return cases.back().first;
  };
  add("model_name").clear_model_name();
  add("inputs").clear_inputs();
  *add("inputs").add_inputs() = Request().inputs(0);
  add("no input 'x'").mutable_inputs(0)->set_name("x");
  add("FP16").mutable_inputs(0)->set_datatype("FP16");
  add("shape").mutable_inputs(0)->clear_shape();
  add("shape").mutable_inputs(0)->set_shape(0, -1);
  add("shape").mutable_inputs(0)->set_shape(0, 0);
  add("[-1,1,1,2]").mutable_inputs(0)->set_shape(2, 2);
  add("[-1,1,1,2]").mutable_inputs(0)->set_shape(3, std::int64_t{1} << 62);
  add("256 at most").mutable_inputs(0)->set_shape(0, 257);
  add("4 numbers").mutable_inputs(0)->set_shape(0, 3);
  add("0 numbers").clear_raw_input_contents();
  add("has 1 numbers").mutable_inputs(0)->set_datatype("FP32");
  auto& odd = add("four bytes");
  odd.mutable_inputs(0)->set_datatype("FP32");
  odd.set_raw_input_contents(0, "123");
  add("one entry per input").add_raw_input_contents("1");
  add("contents").mutable_inputs(0)->mutable_contents()->add_uint_contents(1);
  auto& field = add("fp32_contents");
  field.clear_raw_input_contents();
  field.mutable_inputs(0)->set_datatype("FP32");
  field.mutable_inputs(0)->mutable_contents()->add_uint_contents(1);
  auto& large = add("256");
  large.clear_raw_input_contents();
  large.mutable_inputs(0)->mutable_contents()->add_uint_contents(256);
  for (const float pixel : {std::nanf(""), INFINITY, 1.5f}) {
    auto& number = add("from 0 to 1");
    number.mutable_inputs(0)->set_datatype("FP32");
    number.mutable_inputs(0)->set_shape(0, 1);
    const float pixels[] = {0, pixel};
    number.set_raw_input_contents(0, std::string(reinterpret_cast<const char*>(pixels), 8));
  }
  add("no output 'y'").add_outputs()->set_name("y");
  for (const int classes : {-1, 0, 5}) {
    auto* output = add("classification").add_outputs();
    output->set_name("probabilities");
    (*output->mutable_parameters())["classification"].set_int64_param(classes);
  }
  (*add("timeout").mutable_parameters())["timeout"].set_int64_param(-1);
  for (const auto& [request, word] : cases) {
    const grpc::Status status = Infer(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << request.DebugString();
    EXPECT_THAT(status.error_message(), HasSubstr(word));
  }
  EXPECT_EQ(engine_->runs, 0);
}

TEST_F(OpenInferenceServiceTest, TellsUnknownFromUnavailable) {
  ModelInferRequest request = Request();
  request.set_model_version("9");
  EXPECT_EQ(Infer(request).error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_model_name("other");
  EXPECT_EQ(Infer(request).error_code(), grpc::StatusCode::NOT_FOUND);
  request = Request();
  request.set_model_version("2");
  EXPECT_EQ(Infer(request).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(OpenInferenceServiceTest, ExpiresInTheQueueByItsTimeout) {
  engine_->gate = &gate_;
  grpc::ClientContext context;
  ModelInferResponse ignored;
  std::thread busy([&] { stub_->ModelInfer(&context, Request(), &ignored); });
  engine_->begun.WaitForNotification();
  ModelInferRequest request = Request();
  (*request.mutable_parameters())["timeout"].set_int64_param(1);
  // The engine stays busy until the other request, which it lets expire, has arrived.
  const auto served = classifier_.versions().Loaded().front();
  const auto used = served->last_use.load();
  std::thread late([&] { status_ = Infer(request); });
  EXPECT_TRUE(WaitFor([&] { return served->last_use.load() != used; }));
  gate_.Notify();
  late.join();
  busy.join();
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(engine_->runs, 1);
}

TEST_F(OpenInferenceServiceTest, TellsAboutTheServer) {
  EXPECT_TRUE(Call(&Stub::ServerLive, {}).live());
  EXPECT_TRUE(Call(&Stub::ServerReady, {}).ready());
  const auto server = Call(&Stub::ServerMetadata, {});
  EXPECT_EQ(server.name(), "atelier");
  EXPECT_EQ(server.version(), "1.2.3");
  EXPECT_THAT(server.extensions(), Contains("statistics"));
}

TEST_F(OpenInferenceServiceTest, TellsWhichVersionsAreReady) {
  inference::ModelReadyRequest request;
  request.set_name("net");
  EXPECT_TRUE(Call(&Stub::ModelReady, request).ready());
  EXPECT_EQ(loads_, 0) << "a probe loads nothing";
  request.set_version("2");
  EXPECT_FALSE(Call(&Stub::ModelReady, request).ready());
  EXPECT_TRUE(status_.ok());
  request.set_version("9");
  Call(&Stub::ModelReady, request);
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(OpenInferenceServiceTest, WhatServesIsReadyWhateverItsReferenceLeadsToNow) {
  ASSERT_TRUE(Infer(Request()).ok());
  versions_.SetLatest(2);  // Whose archive is missing.
  classifier_.versions().Refresh("net");
  ASSERT_TRUE(Infer(Request()).ok());
  inference::ModelReadyRequest request;
  request.set_name("net");
  EXPECT_TRUE(Call(&Stub::ModelReady, request).ready());
  request.set_version("2");
  EXPECT_FALSE(Call(&Stub::ModelReady, request).ready());
}

TEST_F(OpenInferenceServiceTest, OtherCallsAreServedWhileAVersionIsLoaded) {
  absl::Notification gate;
  loading_gate_ = &gate;
  std::vector<std::thread> waiting;
  const auto wait = [&](auto method, auto request, auto response) {
    waiting.emplace_back([this, method, request, response]() mutable {
      grpc::ClientContext context;
      EXPECT_TRUE((stub_.get()->*method)(&context, request, &response).ok());
    });
  };
  inference::RepositoryModelLoadRequest load;
  load.set_model_name("net");
  inference::ModelMetadataRequest metadata;
  metadata.set_name("net");
  inference::ModelConfigRequest config;
  config.set_name("net");
  wait(&Stub::RepositoryModelLoad, load, inference::RepositoryModelLoadResponse());
  wait(&Stub::ModelMetadata, metadata, inference::ModelMetadataResponse());
  wait(&Stub::ModelConfig, config, inference::ModelConfigResponse());
  EXPECT_TRUE(WaitFor([&] { return loads_ == 1; }));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  inference::RepositoryIndexResponse index;
  const grpc::Status status = stub_->RepositoryIndex(&context, {}, &index);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(index.models(0).state(), "LOADING");
  inference::ModelReadyRequest ready;
  ready.set_name("net");
  EXPECT_TRUE(Call(&Stub::ModelReady, ready).ready());
  gate.Notify();
  for (std::thread& call : waiting) call.join();
}

TEST_F(OpenInferenceServiceTest, TellsAboutAModel) {
  inference::ModelMetadataRequest request;
  request.set_name("net");
  const auto model = Call(&Stub::ModelMetadata, request);
  ASSERT_TRUE(status_.ok()) << status_.error_message();
  EXPECT_THAT(model.versions(), ElementsAre("1", "2"));
  EXPECT_THAT(model.inputs(0).shape(), ElementsAre(-1, 1, 1, 2));
  EXPECT_THAT(model.outputs(0).shape(), ElementsAre(-1, 4));
  inference::ModelConfigRequest asked;
  asked.set_name("net");
  const auto config = Call(&Stub::ModelConfig, asked).config();
  EXPECT_GE(config.max_batch_size(), 32);
  EXPECT_THAT(config.input(0).dims(), ElementsAre(1, 1, 2));
  EXPECT_TRUE(config.has_dynamic_batching());
  asked.set_name("other");
  Call(&Stub::ModelConfig, asked);
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(OpenInferenceServiceTest, MaxBatchSizeFitsIntoAMessage) {
  EXPECT_EQ(InferBatchOf({1, 28, 28}), 256);
  EXPECT_GE(InferBatchOf({3, 200, 200}), 32);
  EXPECT_EQ(InferBatchOf({3, 4000, 4000}), 1);
  for (const models::ImageShape& shape :
       {models::ImageShape{3, 96, 96}, models::ImageShape{3, 224, 224}}) {
    const auto images = static_cast<std::size_t>(InferBatchOf(shape));
    const auto image = static_cast<std::size_t>(shape.size()) * sizeof(float);
    ModelInferRequest request = Request();
    request.set_raw_input_contents(0, std::string(images * image, '\0'));
    EXPECT_LE(request.ByteSizeLong(), kMaxRequestBytes);
    request.set_raw_input_contents(0, std::string((images + 1) * image, '\0'));
    EXPECT_GT(request.ByteSizeLong(), kMaxRequestBytes - (64 << 10));
  }
}

TEST_F(OpenInferenceServiceTest, CountsTruly) {
  ASSERT_TRUE(Infer(Request()).ok());
  ASSERT_TRUE(Infer(Request()).ok());
  ModelInferRequest wrong = Request();
  wrong.mutable_inputs(0)->set_shape(0, 1);
  ASSERT_FALSE(Infer(wrong).ok());
  inference::ModelStatisticsRequest request;
  request.set_name("net");
  const auto all = Call(&Stub::ModelStatistics, request);
  ASSERT_EQ(all.model_stats_size(), 1);
  const inference::ModelStatistics& counts = all.model_stats(0);
  EXPECT_EQ(counts.version(), "1");
  EXPECT_EQ(counts.inference_count(), 4);
  EXPECT_EQ(counts.execution_count(), 2);
  EXPECT_EQ(counts.inference_stats().success().count(), 2);
  EXPECT_EQ(counts.inference_stats().fail().count(), 1);
  ASSERT_EQ(counts.batch_stats_size(), 1);
  EXPECT_EQ(counts.batch_stats(0).batch_size(), 2);
  EXPECT_EQ(counts.batch_stats(0).compute_infer().count(), 2);
  EXPECT_GT(counts.last_inference(), 0);
  request.set_name("other");
  Call(&Stub::ModelStatistics, request);
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(OpenInferenceServiceTest, LoadsAndUnloadsByRequest) {
  const auto index = [&](bool ready) {
    inference::RepositoryIndexRequest request;
    request.set_ready(ready);
    std::vector<std::string> states;
    const auto all = Call(&Stub::RepositoryIndex, request);
    for (const auto& model : all.models()) {
      states.push_back(absl::StrCat(model.name(), "@", model.version(), " ", model.state()));
    }
    return states;
  };
  EXPECT_THAT(index(true), ElementsAre());
  inference::RepositoryModelLoadRequest load;
  load.set_model_name("net");
  Call(&Stub::RepositoryModelLoad, load);
  EXPECT_TRUE(status_.ok()) << status_.error_message();
  EXPECT_THAT(index(true), ElementsAre("net@1 READY"));
  inference::RepositoryModelUnloadRequest unload;
  unload.set_model_name("net");
  Call(&Stub::RepositoryModelUnload, unload);
  EXPECT_THAT(index(false), ElementsAre("net@1 UNAVAILABLE", "net@2 UNAVAILABLE"));
  EXPECT_EQ(Infer(Request()).error_code(), grpc::StatusCode::UNAVAILABLE);
  Call(&Stub::RepositoryModelLoad, load);
  EXPECT_TRUE(Infer(Request()).ok());
  load.set_model_name("other");
  Call(&Stub::RepositoryModelLoad, load);
  EXPECT_EQ(status_.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(OpenInferenceServiceTest, AStreamAnswersEveryRequestAndMistakesEndNothing) {
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  constexpr int kRequests = 200;
  std::thread writer([&] {
    for (int i = 0; i < kRequests; ++i) {
      ModelInferRequest request = Request();
      request.set_id(absl::StrCat(i));
      if (i % 10 == 3) request.set_model_name("other");
      if (i % 10 == 7) request.mutable_inputs(0)->set_datatype("FP64");
      ASSERT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
  });
  std::set<std::string> answered;
  int mistakes = 0;
  inference::ModelStreamInferResponse response;
  while (stream->Read(&response)) {
    answered.insert(response.infer_response().id());
    if (response.error_message().empty()) {
      EXPECT_EQ(response.infer_response().outputs_size(), 1);
    } else {
      ++mistakes;
    }
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(answered.size(), kRequests);
  EXPECT_EQ(mistakes, kRequests / 5);
}

TEST_F(OpenInferenceServiceTest, AStreamWhoseAnswersNobodyReadsIsReadNoFurther) {
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  constexpr int kRequests = 400;
  std::thread writer([&] {
    ModelInferRequest request = Request();
    request.set_id(std::string(64 << 10, 'x'));  // Which is in the answer, too.
    for (int i = 0; i < kRequests && stream->Write(request); ++i) {
    }
    stream->WritesDone();
  });
  // What fits into the windows is computed; then nothing more, while others are served.
  const auto other = inference::GRPCInferenceService::NewStub(server_.NewChannel());
  std::size_t others = 0;
  std::size_t before = 0;
  for (std::size_t computed = 1; computed != before || computed == 0;) {
    before = computed;
    for (int i = 0; i < 200; ++i, ++others) {
      grpc::ClientContext call;
      ASSERT_TRUE(other->ModelInfer(&call, Request(), &response_).ok());
    }
    computed = engine_->images / 2 - others;
  }
  EXPECT_LT(before, 100);
  EXPECT_LT(memory_.held(), 64 * (65 << 10));
  int answers = 0;
  inference::ModelStreamInferResponse response;
  while (stream->Read(&response)) ++answers;
  EXPECT_EQ(answers, kRequests);
  EXPECT_TRUE(stream->Finish().ok());
  writer.join();
}

TEST_F(OpenInferenceServiceTest, AStreamSaysWhichAnswerIsTheLastWhereItIsAskedTo) {
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  ModelInferRequest request = Request();
  inference::ModelStreamInferResponse response;
  const auto ask = [&] {
    ASSERT_TRUE(stream->Write(request));
    ASSERT_TRUE(stream->Read(&response));
  };
  ask();
  EXPECT_FALSE(response.infer_response().parameters().contains("triton_final_response"));
  (*request.mutable_parameters())["triton_enable_empty_final_response"].set_bool_param(true);
  ask();
  EXPECT_TRUE(response.infer_response().parameters().at("triton_final_response").bool_param());
  EXPECT_EQ(response.infer_response().outputs_size(), 1);
  request.set_model_name("other");
  ask();
  EXPECT_FALSE(response.error_message().empty());
  EXPECT_TRUE(response.infer_response().parameters().at("triton_final_response").bool_param());
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(OpenInferenceServiceTest, AStreamThatIsCancelledEnds) {
  engine_->gate = &gate_;
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  ASSERT_TRUE(stream->Write(Request()));
  engine_->begun.WaitForNotification();
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  gate_.Notify();
}

}  // namespace
}  // namespace atelier::rpc
