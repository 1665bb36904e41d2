#include "server/rpc/dataset_service.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "models/pictures/image_codec.h"
#include "server/wiring/catalog_facts.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/rpc_test_server.h"
#include "tests/unit/serving/tiny_dataset.h"

namespace atelier::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class DatasetServiceTest : public testing::Test {
 protected:
  DatasetServiceTest() { serving::WriteDataset(folder_, 5); }

  grpc::Status Images(const v1::GetImagesRequest& request) {
    grpc::ClientContext context;
    images_.Clear();
    return stub_->GetImages(&context, request, &images_);
  }

  models::TemporaryFolder folder_;
  models::TemporaryFolder cache_;
  views::DatasetCatalog catalog_{{{"small", folder_.path()}, {"broken", "/nowhere"}},
                                 {.cache_dir = cache_.path()}};
  TaskQueue tasks_{{.name = "calls", .threads = 1}};
  DatasetService service_{&catalog_, &tasks_};
  RpcTestServer server_{{{"service", &service_}}};
  std::unique_ptr<v1::DatasetService::Stub> stub_ = v1::DatasetService::NewStub(server_.channel());
  v1::GetImagesResponse images_;
};

TEST_F(DatasetServiceTest, ListsWhatThereIsAndWhatIsWrongWithIt) {
  grpc::ClientContext context;
  v1::ListDatasetsResponse list;
  ASSERT_TRUE(stub_->ListDatasets(&context, {}, &list).ok());
  ASSERT_EQ(list.datasets_size(), 2);
  EXPECT_EQ(list.datasets(0).name(), "datasets/broken");
  EXPECT_THAT(list.datasets(0).problem(), HasSubstr("/nowhere"));
  EXPECT_EQ(list.datasets(0).checksum(), "");
  const v1::Dataset& small = list.datasets(1);
  EXPECT_EQ(small.name(), "datasets/small");
  EXPECT_EQ(small.problem(), "");
  EXPECT_EQ(small.training_images(), 5);
  EXPECT_EQ(small.test_images(), 1);
  EXPECT_EQ(small.image_shape().height(), 2);
  EXPECT_EQ(small.class_names_size(), 2);
  EXPECT_EQ(small.checksum(), (*models::Dataset::Load(folder_.path()))->checksum());
}

TEST_F(DatasetServiceTest, TellsWhatLooksWrong) {
  folder_.Write("t10k-images-idx3-ubyte", serving::Idx({1, 2, 2}, "\7\7\7\7"));
  grpc::ClientContext context;
  v1::GetDatasetRequest request;
  request.set_name("datasets/small");
  v1::Dataset dataset;
  ASSERT_TRUE(stub_->GetDataset(&context, request, &dataset).ok());
  ASSERT_EQ(dataset.warnings_size(), 2);
  EXPECT_THAT(dataset.warnings(0), HasSubstr("1 of 1 test images are among the training images"));
  EXPECT_EQ(dataset.problem(), "");
}

TEST_F(DatasetServiceTest, AFileThatIsCutOffIsMadeAnewAndNoSignal) {
  v1::GetImagesRequest request;
  request.set_name("datasets/small");
  request.add_indices(0);
  ASSERT_TRUE(Images(request).ok());
  for (const auto& file : std::filesystem::directory_iterator(cache_.path())) {
    std::filesystem::resize_file(file, 0);
  }
  const grpc::Status status = Images(request);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(images_.images(0).data(), "abcd");
}

TEST_F(DatasetServiceTest, RefusesNamesThatAreNone) {
  for (const auto& [name, code] : std::vector<std::pair<std::string, grpc::StatusCode>>{
           {"", grpc::StatusCode::INVALID_ARGUMENT},
           {"small", grpc::StatusCode::INVALID_ARGUMENT},
           {"datasets/../x", grpc::StatusCode::INVALID_ARGUMENT},
           {"datasets/none", grpc::StatusCode::NOT_FOUND}}) {
    grpc::ClientContext context;
    v1::GetDatasetRequest request;
    request.set_name(name);
    v1::Dataset dataset;
    EXPECT_EQ(stub_->GetDataset(&context, request, &dataset).error_code(), code) << name;
  }
}

TEST_F(DatasetServiceTest, ShowsImagesInTheOrderAskedFor) {
  v1::GetImagesRequest request;
  request.set_name("datasets/small");
  request.set_split(v1::DATASET_SPLIT_TRAINING);
  for (const int index : {4, 0}) request.add_indices(index);
  ASSERT_TRUE(Images(request).ok());
  ASSERT_EQ(images_.images_size(), 2);
  EXPECT_EQ(images_.images(0).index(), 4);
  EXPECT_EQ(images_.images(0).label(), 1);
  EXPECT_EQ(images_.images(1).label(), 0);
  EXPECT_EQ(images_.images(0).data(), "\7\7\7\7");
  EXPECT_EQ(images_.class_names_size(), 2);
}

TEST_F(DatasetServiceTest, ShowsPictures) {
  v1::GetImagesRequest request;
  request.set_name("datasets/small");
  request.add_indices(0);
  request.set_png(true);
  ASSERT_TRUE(Images(request).ok());
  const auto picture = models::DecodeImage(images_.images(0).data());
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_THAT(picture->pixels, ElementsAre('a', 'b', 'c', 'd'));
}

TEST_F(DatasetServiceTest, NamesEveryWrongField) {
  v1::GetImagesRequest request;
  request.set_name("datasets/small");
  request.set_split(static_cast<v1::DatasetSplit>(9));
  EXPECT_THAT(DetailsOf(Images(request)).violations,
              UnorderedElementsAre(Key("indices"), Key("split")));
  request.clear_split();
  for (const int index : {-1, 1}) {
    request.clear_indices();
    request.add_indices(index);
    EXPECT_THAT(DetailsOf(Images(request)).violations, ElementsAre(Key("indices")));
  }
  for (int i = 0; i < 1001; ++i) request.add_indices(0);
  EXPECT_THAT(DetailsOf(Images(request)).violations, ElementsAre(Key("indices")));
}

TEST_F(DatasetServiceTest, AnswersNeverOutgrowWhatClientsAccept) {
  models::TemporaryFolder folder;
  serving::WriteDataset(folder, 5, /*side=*/100);
  views::DatasetCatalog catalog({{"large", folder.path()}}, {.cache_dir = cache_.path()});
  DatasetService service(&catalog, &tasks_);
  // Its channel has gRPC's own limit.
  RpcTestServer server({{"service", &service}});
  const auto stub = v1::DatasetService::NewStub(server.channel());
  v1::GetImagesRequest request;
  request.set_name("datasets/large");
  request.set_split(v1::DATASET_SPLIT_TRAINING);
  const auto ask = [&] {
    grpc::ClientContext context;
    images_.Clear();
    return stub->GetImages(&context, request, &images_);
  };
  for (int i = 0; i < 1000; ++i) request.add_indices(i % 5);
  EXPECT_THAT(DetailsOf(ask()).violations, ElementsAre(Pair("indices", HasSubstr("first 418"))));
  request.mutable_indices()->Truncate(418);
  const grpc::Status status = ask();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(images_.images_size(), 418);
}

TEST_F(DatasetServiceTest, AFolderThatCannotBeReadIsSaidSo) {
  v1::GetImagesRequest request;
  request.set_name("datasets/broken");
  request.add_indices(0);
  const grpc::Status status = Images(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(status).reason, "BAD_DATA");
}

TEST_F(DatasetServiceTest, TheControllerIsToldTheSame) {
  wiring::CatalogFacts facts(&catalog_);
  EXPECT_THAT(facts.Names(), ElementsAre("broken", "small"));
  EXPECT_EQ(facts.Directory("small"), folder_.path());
  EXPECT_EQ(facts.Describe("small")->training_images, 5);
  EXPECT_EQ(facts.Describe("small")->class_count, 2);
  EXPECT_NE(facts.Describe("broken")->problem, "");
  EXPECT_FALSE(facts.Describe("none").has_value());
}

}  // namespace
}  // namespace atelier::rpc
