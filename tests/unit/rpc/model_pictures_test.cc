// GetFilters, GetFeatureMaps and Explain over a real channel, on real archives.
#include <cstring>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "models/archive/filters.h"
#include "models/pictures/image_codec.h"
#include "server/rpc/model_service.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/rpc_test_server.h"
#include "tests/unit/serving/fakes.h"
#include "tests/unit/serving/tiny_archive.h"

namespace atelier::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::SizeIs;

class ModelPicturesTest : public testing::Test {
 protected:
  ModelPicturesTest() {
    Add("net", serving::WriteArchive(folder_.File("net"), network_));
    Add("dense", serving::WriteTinyArchive(folder_.File("dense")));
    versions_.Add({"gone", 1, folder_.File("gone"), ""});
  }

  void Add(const std::string& model, const absl::StatusOr<models::ArchiveInfo>& info) {
    ASSERT_TRUE(info.ok()) << info.status();
    versions_.Add({model, 1, folder_.File(model), info->sha256});
  }

  static v1::GetFiltersRequest OfLayer(int layer, const std::string& name = "models/net") {
    v1::GetFiltersRequest request;
    request.set_name(name);
    request.set_layer(layer);
    return request;
  }

  static v1::GetFeatureMapsRequest OfPixels(const std::string& name = "models/net") {
    v1::GetFeatureMapsRequest request;
    request.set_name(name);
    request.mutable_raw()->set_pixels("0123456789abcdef");
    return request;
  }

  grpc::Status Get(const v1::GetFiltersRequest& request) {
    grpc::ClientContext context;
    return stub_->GetFilters(&context, request, &filters_);
  }

  grpc::Status Get(const v1::GetFeatureMapsRequest& request) {
    grpc::ClientContext context;
    return stub_->GetFeatureMaps(&context, request, &maps_);
  }

  static v1::ExplainRequest ToExplain(const std::string& name = "models/net") {
    v1::ExplainRequest request;
    request.set_name(name);
    request.mutable_raw()->set_pixels("0123456789abcdef");
    return request;
  }

  grpc::Status Get(const v1::ExplainRequest& request) {
    grpc::ClientContext context;
    return stub_->Explain(&context, request, &explanation_);
  }

  const models::TrainedModel network_ = serving::TinyConvolutions();
  models::TemporaryFolder folder_;
  serving::FakeVersions versions_;
  views::ModelViewer viewer_{&versions_};
  absl::Notification gate_;  // Outlives the queue's thread, which may wait for it.
  TaskQueue tasks_{{.name = "pictures", .threads = 1, .capacity = 1}};
  ModelService service_{{.models = nullptr,
                         .artifacts = nullptr,
                         .controller = nullptr,
                         .tasks = nullptr,
                         .streams = nullptr,
                         .viewer = &viewer_,
                         .picture_tasks = &tasks_,
                         .loading_tasks = &tasks_,
                         .on_deleted = nullptr,
                         .prepare = nullptr,
                         .on_changed = nullptr,
                         .log = nullptr}};
  RpcTestServer server_{{{"service", &service_}}};
  std::unique_ptr<v1::ModelService::Stub> stub_ = v1::ModelService::NewStub(server_.channel());
  v1::Filters filters_;
  v1::FeatureMaps maps_;
  v1::Explanation explanation_;
};

// Whether a picture is the PNG file that its numbers say it is.
void ExpectFits(const v1::TiledPicture& picture) {
  const auto image = models::DecodeImage(picture.png());
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->height,
            picture.gap() + picture.rows() * (picture.tile_height() + picture.gap()));
  EXPECT_EQ(image->width,
            picture.gap() + picture.columns() * (picture.tile_width() + picture.gap()));
}

TEST_F(ModelPicturesTest, AnswersWithFiltersAsNumbersAndAsAPicture) {
  const grpc::Status status = Get(OfLayer(2));
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(filters_.model_version(), "models/net/versions/1");
  EXPECT_EQ(filters_.layer(), 2);
  EXPECT_EQ(filters_.layer_count(), 2);
  EXPECT_THAT(filters_.shape(), ElementsAre(3, 2, 3, 3));
  const std::vector<float>& expected = network_.Find("conv2.weight")->values;
  ASSERT_EQ(filters_.values().size(), expected.size() * sizeof(float));
  EXPECT_EQ(std::memcmp(filters_.values().data(), expected.data(), filters_.values().size()), 0);
  EXPECT_EQ(filters_.scale(), models::Magnitude(*network_.Find("conv2.weight")));
  EXPECT_EQ(filters_.picture().tiles(), 6);
  EXPECT_EQ(filters_.picture().rows(), 3);
  EXPECT_EQ(filters_.picture().columns(), 2);
  EXPECT_EQ(filters_.picture().tile_width(), 36);
  ExpectFits(filters_.picture());
  v1::GetFiltersRequest alone = OfLayer(0);
  alone.set_values(false);
  alone.set_zoom(1);
  ASSERT_TRUE(Get(alone).ok());
  EXPECT_EQ(filters_.layer(), 1);
  EXPECT_THAT(filters_.values(), IsEmpty());
  EXPECT_EQ(filters_.picture().tile_width(), 3);
}

TEST_F(ModelPicturesTest, AnswersWithFeatureMaps) {
  const grpc::Status status = Get(OfPixels());
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(maps_.model_version(), "models/net/versions/1");
  EXPECT_EQ(maps_.block_count(), 2);
  ASSERT_THAT(maps_.maps(), SizeIs(2));
  const v1::FeatureMap& first = maps_.maps(0);
  EXPECT_EQ(first.block(), 1);
  EXPECT_EQ(first.shape().channels(), 2);
  EXPECT_EQ(first.shape().height(), 2);
  EXPECT_EQ(first.picture().tiles(), 2);
  EXPECT_THAT(first.values(), IsEmpty());
  EXPECT_LT(first.minimum(), first.maximum());
  ExpectFits(first.picture());
  v1::GetFeatureMapsRequest request = OfPixels();
  request.set_block(2);
  request.set_values(true);
  ASSERT_TRUE(Get(request).ok());
  ASSERT_THAT(maps_.maps(), SizeIs(1));
  EXPECT_EQ(maps_.maps(0).block(), 2);
  EXPECT_THAT(maps_.maps(0).values(), SizeIs(3 * 2 * 2 * sizeof(float)));
}

TEST_F(ModelPicturesTest, AnswersWithAnExplanation) {
  v1::ExplainRequest request = ToExplain();
  request.set_target_class("bag");
  request.set_values(true);
  const grpc::Status status = Get(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(explanation_.model_version(), "models/net/versions/1");
  ASSERT_THAT(explanation_.classes(), SizeIs(3));
  EXPECT_GE(explanation_.classes(0).probability(), explanation_.classes(1).probability());
  EXPECT_EQ(explanation_.target().name(), "bag");
  EXPECT_EQ(explanation_.target().index(), 1);
  EXPECT_EQ(explanation_.method(), v1::EXPLANATION_METHOD_GRAD_CAM);
  EXPECT_EQ(explanation_.block(), 2);
  EXPECT_EQ(explanation_.block_count(), 2);
  EXPECT_EQ(explanation_.height(), 2);
  EXPECT_THAT(explanation_.values(), SizeIs(2 * 2 * sizeof(float)));
  EXPECT_EQ(models::DecodeImage(explanation_.png())->height, 4 * 8);
  request.set_method(v1::EXPLANATION_METHOD_OCCLUSION);
  request.set_window(3);
  request.set_values(false);
  ASSERT_TRUE(Get(request).ok());
  EXPECT_EQ(explanation_.method(), v1::EXPLANATION_METHOD_OCCLUSION);
  EXPECT_EQ(explanation_.window(), 3);
  EXPECT_EQ(explanation_.stride(), 2);
  EXPECT_EQ(explanation_.width(), 2);
  EXPECT_THAT(explanation_.values(), IsEmpty());
}

TEST_F(ModelPicturesTest, NamesTheWrongFieldOfAnExplanation) {
  v1::ExplainRequest request = ToExplain();
  request.set_method(static_cast<v1::ExplanationMethod>(7));
  EXPECT_THAT(DetailsOf(Get(request)).violations, ElementsAre(Key("method")));
  request = ToExplain();
  request.clear_input();
  EXPECT_THAT(DetailsOf(Get(request)).violations, ElementsAre(Key("input")));
  request = ToExplain();
  request.set_target_class("coat");
  EXPECT_THAT(DetailsOf(Get(request)).violations, ElementsAre(Key("target_class")));
  EXPECT_EQ(DetailsOf(Get(ToExplain("models/dense"))).reason, "NO_CONVOLUTIONS");
  EXPECT_EQ(DetailsOf(Get(ToExplain("models/gone"))).reason, "VERSION_UNAVAILABLE");
}

TEST_F(ModelPicturesTest, NamesTheWrongField) {
  std::vector<std::pair<v1::GetFeatureMapsRequest, std::string>> cases;
  const auto add = [&](const std::string& field) -> v1::GetFeatureMapsRequest& {
    cases.emplace_back(OfPixels(), field);
    return cases.back().first;
  };
  add("name").set_name("net");
  add("input").clear_input();
  add("raw.pixels").mutable_raw()->set_pixels("123");
  add("raw.pixels").mutable_raw()->set_pixels(std::string(32, 'x'));
  add("floats.pixels").mutable_floats()->add_pixels(2);
  add("encoded.files").mutable_encoded();
  add("encoded.files[0]").mutable_encoded()->add_files("no picture");
  add("encoded.resize").mutable_encoded()->set_resize(static_cast<v1::Resize>(77));
  auto* const exact = add("encoded.files[0]").mutable_encoded();
  exact->add_files(*models::EncodePng({1, 1, 1, {0}}));
  exact->set_resize(v1::RESIZE_NONE);
  add("block").set_block(3);
  add("zoom").set_zoom(33);
  for (const auto& [request, field] : cases) {
    const grpc::Status status = Get(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << field;
    EXPECT_THAT(DetailsOf(status).violations, ElementsAre(Key(field)));
  }
  for (const int layer : {-1, 3}) {
    EXPECT_THAT(DetailsOf(Get(OfLayer(layer))).violations, ElementsAre(Key("layer")));
  }
}

TEST_F(ModelPicturesTest, SaysWhyThereIsNothingToShow) {
  const grpc::Status dense = Get(OfLayer(1, "models/dense"));
  EXPECT_EQ(dense.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(dense).reason, "NO_CONVOLUTIONS");
  EXPECT_EQ(DetailsOf(Get(OfPixels("models/dense"))).reason, "NO_CONVOLUTIONS");
  const grpc::Status gone = Get(OfLayer(1, "models/gone"));
  EXPECT_EQ(gone.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailsOf(gone).reason, "VERSION_UNAVAILABLE");
  EXPECT_EQ(Get(OfPixels("models/none")).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ModelPicturesTest, AnswersThatItIsBusyWhenTooManyWait) {
  absl::Notification begun;
  ASSERT_TRUE(tasks_.TryAdd([&] {
    begun.Notify();
    gate_.WaitForNotification();
  }));
  begun.WaitForNotification();
  ASSERT_TRUE(tasks_.TryAdd([] {}));
  const grpc::Status status = Get(OfLayer(1));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(status).reason, "SERVER_BUSY");
  gate_.Notify();
}

}  // namespace
}  // namespace atelier::rpc
