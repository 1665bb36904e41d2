// InferenceService over a real channel, with an engine that needs no network.
#include "server/rpc/inference_service.h"

#include <cmath>
#include <thread>

#include "gmock/gmock.h"
#include "server/jobs/error.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/rpc_test_server.h"
#include "tests/unit/serving/fakes.h"

namespace atelier::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

class InferenceServiceTest : public testing::Test {
 protected:
  InferenceServiceTest() {
    folder_.Write("archive", "x");
    versions_.Add({"net", 1, folder_.File("archive"), ""});
    versions_.Add({"net", 2, folder_.File("missing"), ""});
  }

  static v1::ClassifyRequest Request(const std::string& model = "models/net") {
    v1::ClassifyRequest request;
    request.set_model(model);
    request.mutable_raw()->set_pixels(std::string({1, 0, 2, 0}));
    return request;
  }

  grpc::Status Classify(const v1::ClassifyRequest& request) {
    grpc::ClientContext context;
    return stub_->Classify(&context, request, &response_);
  }

  models::TemporaryFolder folder_;
  serving::FakeVersions versions_;
  absl::Notification gate_;  // Outlives the classifier's threads, which wait for it.
  const std::shared_ptr<serving::FakeEngine> engine_ = std::make_shared<serving::FakeEngine>();
  serving::Classifier classifier_{
      {.max_requests = 1}, &versions_, [this](const serving::Version&) -> serving::EngineResult {
        return engine_;
      }};
  InferenceService service_{&classifier_};
  RpcTestServer server_{{{"service", &service_}}};
  std::unique_ptr<v1::InferenceService::Stub> stub_ =
      v1::InferenceService::NewStub(server_.channel());
  v1::ClassifyResponse response_;
};

TEST_F(InferenceServiceTest, AnswersWithClassesAndTheVersion) {
  const grpc::Status status = Classify(Request());
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response_.model_version(), "models/net/versions/1");
  ASSERT_EQ(response_.classifications_size(), 2);
  ASSERT_EQ(response_.classifications(1).classes_size(), 3);
  const v1::ClassProbability& best = response_.classifications(1).classes(0);
  EXPECT_EQ(best.index(), 3);
  EXPECT_EQ(best.name(), "coat");
  EXPECT_FLOAT_EQ(best.probability(), 2.3f);
  EXPECT_TRUE(response_.has_queue_time());
  EXPECT_TRUE(response_.has_compute_time());
}

TEST_F(InferenceServiceTest, TakesNumbersToo) {
  v1::ClassifyRequest request = Request();
  for (const float value : {0.5f, 1.0f}) request.mutable_floats()->add_pixels(value);
  ASSERT_TRUE(Classify(request).ok());
  EXPECT_FLOAT_EQ(response_.classifications(0).classes(0).probability(), 0.8f);
}

TEST_F(InferenceServiceTest, NamesTheWrongField) {
  std::vector<std::pair<v1::ClassifyRequest, std::string>> cases;
  const auto add = [&](const std::string& field) -> v1::ClassifyRequest& {
    cases.emplace_back(Request(), field);
    return cases.back().first;
  };
  add("model").set_model("net");
  add("model").set_model("");
  add("model").set_model("models/net/versions/..");
  add("input").clear_input();
  add("raw.pixels").mutable_raw()->clear_pixels();
  add("raw.pixels").mutable_raw()->set_pixels("123");
  add("floats.pixels").mutable_floats();
  v1::ClassifyRequest& nan = add("floats.pixels");
  nan.mutable_floats()->add_pixels(0);
  nan.mutable_floats()->add_pixels(std::nanf(""));
  add("encoded.files").mutable_encoded();
  add("encoded.files[0]").mutable_encoded()->add_files("no picture");
  add("encoded.resize").mutable_encoded()->set_resize(static_cast<v1::Resize>(77));
  add("encoded.inversion").mutable_encoded()->set_inversion(static_cast<v1::Inversion>(77));
  add("top_k").set_top_k(5);
  add("top_k").set_top_k(-1);
  for (const auto& [request, field] : cases) {
    const grpc::Status status = Classify(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << field;
    EXPECT_THAT(DetailsOf(status).violations, ElementsAre(Key(field)));
  }
}

TEST_F(InferenceServiceTest, AVersionThatCannotBeLoadedIsUnavailable) {
  const grpc::Status status = Classify(Request("models/net/versions/2"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailsOf(status).reason, "VERSION_UNAVAILABLE");
  EXPECT_TRUE(Classify(Request()).ok());
}

TEST_F(InferenceServiceTest, CalibratesOnRequestAndSaysHow) {
  v1::ClassifyRequest request = Request();
  request.set_calibrated(true);
  const grpc::Status status = Classify(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(status).reason, "NOT_CALIBRATED");
  engine_->fitted_temperature = 1.5;
  ASSERT_TRUE(Classify(request).ok());
  EXPECT_EQ(response_.temperature(), 1.5);
  EXPECT_LT(response_.classifications(1).classes(0).probability(), 1);
  ASSERT_TRUE(Classify(Request()).ok());
  EXPECT_FALSE(response_.has_temperature());
  EXPECT_FLOAT_EQ(response_.classifications(1).classes(0).probability(), 2.3F);
}

TEST_F(InferenceServiceTest, AnswersQueueFullWithADelay) {
  engine_->gate = &gate_;
  std::thread caller([this] {
    grpc::ClientContext context;
    v1::ClassifyResponse response;
    EXPECT_TRUE(stub_->Classify(&context, Request(), &response).ok());
  });
  engine_->begun.WaitForNotification();
  const grpc::Status status = Classify(Request());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(status).reason, "QUEUE_FULL");
  EXPECT_TRUE(DetailsOf(status).retry);
  gate_.Notify();
  caller.join();
}

TEST_F(InferenceServiceTest, RefusesAMessageOverTheLimit) {
  v1::ClassifyRequest request = Request();
  request.mutable_raw()->set_pixels(std::string(17 << 20, '\0'));
  EXPECT_EQ(Classify(request).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Classify(Request()).ok());
}

}  // namespace
}  // namespace atelier::rpc
