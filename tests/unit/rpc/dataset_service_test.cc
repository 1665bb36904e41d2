#include "server/rpc/dataset_service.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "models/files/sha256.h"
#include "models/pictures/image_codec.h"
#include "server/jobs/import_request.h"
#include "server/jobs/job_store.h"
#include "server/store/sqlite_store.h"
#include "server/wiring/catalog_facts.h"
#include "tests/unit/jobs/fakes.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/folder_artifacts.h"
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

  DatasetService::Dependencies With(views::DatasetCatalog* catalog) {
    return {.catalog = catalog,
            .pushed = store_.get(),
            .artifacts = &artifacts_,
            .controller = nullptr,
            .limits = &limits_,
            .uploads = uploads_.get(),
            .tasks = &tasks_,
            .upload_tasks = &upload_tasks_,
            .streams = &streams_};
  }

  // A version of a pushed data set, whose file is that of the small one.
  void Register(const std::string& dataset, std::int64_t version) {
    jobs::JobUpdate update;
    update.record.id = absl::StrCat("import-", dataset, "-", version);
    ASSERT_TRUE(store_->Insert(update.record, {}).ok());
    ASSERT_TRUE(store_->ReserveDatasetVersion(dataset).ok());
    v1::Dataset& added = update.dataset_version.emplace();
    added.set_name(jobs::DatasetVersionName(dataset, version));
    added.set_version(version);
    added.set_training_images(5);
    for (const char* name : {"0", "1"}) added.add_class_names(name);
    added.mutable_source()->set_sha256(models::Sha256Of("0123456789"));
    auto options = jobs::ResolveImportOptions({});
    *added.mutable_source()->mutable_options() = *options;
    ASSERT_TRUE(store_->Commit(update).ok());
    const auto file = catalog_.Open("small", absl::InfiniteDuration());
    ASSERT_TRUE(file.ok()) << file.status();
    for (const auto& made : std::filesystem::directory_iterator(cache_.path())) {
      std::filesystem::copy_file(made, artifacts_.DatasetPath(dataset, version));
    }
  }

  grpc::Status Announce(const std::string& bytes, v1::Upload* upload,
                        const std::string& dataset = "digits") {
    grpc::ClientContext context;
    v1::CreateUploadRequest request;
    request.set_dataset(jobs::DatasetName(dataset));
    request.set_size_bytes(static_cast<std::int64_t>(bytes.size()));
    request.set_sha256(models::Sha256Of(bytes));
    return stub_->CreateUpload(&context, request, upload);
  }

  // Sends pieces in one call, the first from `offset` on.
  grpc::Status Write(const std::string& name, std::int64_t offset,
                     const std::vector<std::string>& pieces, v1::Upload* upload) {
    grpc::ClientContext context;
    const auto writer = stub_->WriteUpload(&context, upload);
    v1::WriteUploadRequest request;
    request.set_name(name);
    for (const std::string& piece : pieces) {
      request.set_offset(offset);
      request.set_data(piece);
      if (!writer->Write(request)) break;
      offset += static_cast<std::int64_t>(piece.size());
    }
    writer->WritesDone();
    return writer->Finish();
  }

  models::TemporaryFolder folder_;
  models::TemporaryFolder cache_;
  models::TemporaryFolder data_;
  jobs::FakeClock clock_;
  FolderArtifacts artifacts_{data_.path()};
  std::unique_ptr<store::SqliteStore> store_ =
      *store::SqliteStore::Open(data_.path() + "/atelier.db");
  std::unique_ptr<uploads::UploadFolder> uploads_ = *uploads::UploadFolder::Open(
      {.folder = artifacts_.UploadsDir(), .space = 1000, .log = {}}, &clock_);
  views::DatasetCatalog catalog_{{{"small", folder_.path()}, {"broken", "/nowhere"}},
                                 {.cache_dir = cache_.path()}};
  TaskQueue tasks_{{.name = "calls", .threads = 1}};
  TaskQueue upload_tasks_{{.name = "uploads", .threads = 2}};
  StreamSet streams_{StreamSet::Options{}};
  jobs::SpecResolver::Options limits_ = {
      .presets = {}, .max_cores = 2, .memory_bytes = std::int64_t{1} << 30, .draw_seed = {}};
  DatasetService service_{With(&catalog_)};
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
  DatasetService service(With(&catalog));
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
  Register("digits", 1);
  Register("digits", 2);
  wiring::CatalogFacts facts(&catalog_, store_.get(), &artifacts_);
  EXPECT_THAT(facts.Names(), ElementsAre("broken", "digits", "small"));
  EXPECT_EQ(facts.Find("small")->folder, folder_.path());
  EXPECT_EQ(facts.Find("digits")->file, artifacts_.DatasetPath("digits", 2));
  EXPECT_EQ(facts.Find("digits@1")->file, artifacts_.DatasetPath("digits", 1));
  EXPECT_TRUE(absl::IsNotFound(facts.Find("digits@3").status()));
  EXPECT_TRUE(absl::IsNotFound(facts.Find("small@1").status()));
  EXPECT_EQ(facts.Describe("digits")->reference, "digits@2");
  EXPECT_EQ(facts.Describe("small")->reference, "small");
  EXPECT_EQ(facts.Describe("small")->training_images, 5);
  EXPECT_EQ(facts.Describe("small")->class_count, 2);
  EXPECT_NE(facts.Describe("broken")->problem, "");
  EXPECT_TRUE(absl::IsNotFound(facts.Describe("none").status()));
}

// A database that answers nothing.
class BusyDatasets final : public jobs::DatasetStore {
 public:
  absl::StatusOr<std::vector<v1::Dataset>> ListDatasets(absl::string_view, int) override {
    return busy;
  }
  absl::StatusOr<std::vector<std::string>> DatasetNames(int) override { return busy; }
  absl::StatusOr<v1::Dataset> FindDataset(const jobs::DatasetReference&) override { return busy; }
  absl::StatusOr<std::vector<v1::Dataset>> FindImported(absl::string_view,
                                                        absl::string_view) override {
    return busy;
  }
  absl::StatusOr<std::vector<jobs::DatasetReference>> ListDatasetVersions() override {
    return busy;
  }
  absl::StatusOr<std::int64_t> DatasetBytesOf(absl::string_view) override { return 0; }
  absl::StatusOr<std::int64_t> DatasetBytes() override { return busy; }
  absl::StatusOr<std::int64_t> ReserveDatasetVersion(absl::string_view) override { return busy; }
  absl::StatusOr<std::vector<std::int64_t>> DeleteDataset(const jobs::DatasetReference&,
                                                          bool) override {
    return busy;
  }

  const absl::Status busy = absl::UnavailableError("The database is busy.");
};

TEST_F(DatasetServiceTest, ABusyDatabaseIsNoMissingDataSet) {
  BusyDatasets database;
  wiring::CatalogFacts facts(&catalog_, &database, &artifacts_);
  EXPECT_EQ(facts.Find("digits").status(), database.busy);
  EXPECT_EQ(facts.Describe("digits").status(), database.busy);
  EXPECT_TRUE(facts.Find("small").ok());
}

TEST_F(DatasetServiceTest, CountsClassesAndPixels) {
  grpc::ClientContext context;
  v1::GetDatasetRequest request;
  request.set_name("datasets/small");
  v1::Dataset dataset;
  ASSERT_TRUE(stub_->GetDataset(&context, request, &dataset).ok());
  ASSERT_EQ(dataset.class_counts_size(), 2);
  EXPECT_EQ(dataset.class_counts(0).training_images(), 4);
  EXPECT_EQ(dataset.class_counts(1).test_images(), 1);
  ASSERT_EQ(dataset.channel_mean_size(), 1);
  EXPECT_NEAR(dataset.channel_mean(0), 7 / 255., 1e-9) << "all training pixels are 7";
  EXPECT_NEAR(dataset.channel_deviation(0), 0, 1e-6);
}

TEST_F(DatasetServiceTest, ListsAndShowsPushedOnesByTheirNewestVersion) {
  Register("digits", 1);
  Register("digits", 2);
  grpc::ClientContext listing;
  v1::ListDatasetsResponse list;
  ASSERT_TRUE(stub_->ListDatasets(&listing, {}, &list).ok());
  ASSERT_EQ(list.datasets_size(), 3);
  EXPECT_EQ(list.datasets(1).name(), "datasets/digits/versions/2");
  v1::GetImagesRequest request;
  request.set_name("datasets/digits");
  request.add_indices(0);
  ASSERT_TRUE(Images(request).ok());
  EXPECT_EQ(images_.dataset(), "datasets/digits/versions/2");
  EXPECT_EQ(images_.images(0).data(), "abcd");
}

TEST_F(DatasetServiceTest, ListsPageByPageByName) {
  // One that was pushed before a folder got its name, and one that an early character goes on with.
  for (const char* name : {"small", "small-2", "digits", "tiny"}) Register(name, 1);
  v1::ListDatasetsRequest request;
  request.set_page_size(1);
  std::vector<std::string> names;
  do {
    grpc::ClientContext context;
    v1::ListDatasetsResponse page;
    ASSERT_TRUE(stub_->ListDatasets(&context, request, &page).ok());
    ASSERT_EQ(page.datasets_size(), 1);
    names.push_back(page.datasets(0).name());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(names, ElementsAre("datasets/broken", "datasets/digits/versions/1", "datasets/small",
                                 "datasets/small/versions/1", "datasets/small-2/versions/1",
                                 "datasets/tiny/versions/1"));
}

TEST_F(DatasetServiceTest, RefusesPagesThatAreNone) {
  v1::ListDatasetsRequest request;
  const auto wrong = [&] {
    grpc::ClientContext context;
    v1::ListDatasetsResponse page;
    return DetailsOf(stub_->ListDatasets(&context, request, &page)).violations;
  };
  request.set_page_token("elsewhere");
  EXPECT_THAT(wrong(), ElementsAre(Key("page_token")));
  request.set_page_size(1001);
  EXPECT_THAT(wrong(), ElementsAre(Key("page_size")));
}

TEST_F(DatasetServiceTest, ReceivesAnUploadInSeveralCalls) {
  v1::Upload upload;
  ASSERT_TRUE(Announce("0123456789", &upload).ok());
  ASSERT_TRUE(Write(upload.name(), 0, {"01", "23"}, &upload).ok());
  EXPECT_EQ(upload.received_bytes(), 4);
  const grpc::Status early = Write(upload.name(), 5, {"56789"}, &upload);
  EXPECT_EQ(DetailsOf(early).reason, "WRONG_OFFSET");
  const grpc::Status status = Write(upload.name(), 4, {"45", "6789"}, &upload);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(upload.received_bytes(), 10);
  const auto complete =
      uploads_->Import(*jobs::ParseUploadName(upload.name()),
                       [](const v1::Upload& found) -> absl::StatusOr<v1::TrainingJob> {
                         EXPECT_EQ(found.sha256(), models::Sha256Of("0123456789"));
                         return v1::TrainingJob();
                       });
  EXPECT_TRUE(complete.ok()) << complete.status();
}

TEST_F(DatasetServiceTest, RefusesResourcesThatItHasNotBeforeAnythingIsSent) {
  v1::CreateUploadRequest request;
  request.set_dataset("datasets/digits");
  request.set_size_bytes(10);
  request.set_sha256(models::Sha256Of("0123456789"));
  request.set_cores(3);
  request.set_memory_bytes(std::int64_t{2} << 30);
  v1::Upload upload;
  {
    grpc::ClientContext context;
    EXPECT_THAT(DetailsOf(stub_->CreateUpload(&context, request, &upload)).violations,
                UnorderedElementsAre(Key("cores"), Key("memory_bytes")));
  }
  request.set_cores(2);
  request.set_memory_bytes(std::int64_t{1} << 30);
  grpc::ClientContext context;
  EXPECT_TRUE(stub_->CreateUpload(&context, request, &upload).ok());
}

TEST_F(DatasetServiceTest, KeepsWhatCameBeforeTheCallBroke) {
  v1::Upload upload;
  ASSERT_TRUE(Announce("0123456789", &upload).ok());
  const std::string name = upload.name();
  {
    grpc::ClientContext context;
    const auto writer = stub_->WriteUpload(&context, &upload);
    v1::WriteUploadRequest request;
    request.set_name(name);
    request.set_data("0123");
    ASSERT_TRUE(writer->Write(request));
    const std::string content = absl::StrCat(
        artifacts_.UploadsDir(), "/", *jobs::ParseUploadName(name), "/", jobs::kUploadContent);
    while (std::filesystem::file_size(content) < 4) absl::SleepFor(absl::Milliseconds(1));
    EXPECT_EQ(DetailsOf(Write(name, 4, {"x"}, &upload)).reason, "UPLOAD_BUSY");
    context.TryCancel();
    writer->Finish();
  }
  v1::GetUploadRequest request;
  request.set_name(name);
  do {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->GetUpload(&context, request, &upload).ok());
  } while (upload.received_bytes() < 4);
  grpc::Status status;
  do {
    status = Write(name, 4, {"456789"}, &upload);
  } while (status.error_code() == grpc::StatusCode::ABORTED);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(DatasetServiceTest, SaysWhatWasMadeOfTheSameContentAlready) {
  Register("digits", 1);
  v1::Upload upload;
  ASSERT_TRUE(Announce("0123456789", &upload).ok());
  EXPECT_EQ(upload.existing_version(), "datasets/digits/versions/1");
  ASSERT_TRUE(Announce("0123456789", &upload, "letters").ok());
  EXPECT_EQ(upload.existing_version(), "");
}

TEST_F(DatasetServiceTest, RefusesWrongAnnouncementsNamingEveryField) {
  grpc::ClientContext context;
  v1::CreateUploadRequest request;
  request.set_dataset("datasets/Digits");
  request.set_sha256("abc");
  request.mutable_options()->set_height(9999);
  v1::Upload upload;
  EXPECT_THAT(DetailsOf(stub_->CreateUpload(&context, request, &upload)).violations,
              UnorderedElementsAre(Key("dataset"), Key("size_bytes"), Key("sha256"),
                                   Key("options.height")));
}

TEST_F(DatasetServiceTest, RefusesTheNameOfADatasetOfAFlag) {
  v1::Upload upload;
  const grpc::Status status = Announce("0123456789", &upload, "small");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(DetailsOf(status).reason, "DATASET_OF_FLAG");
}

TEST_F(DatasetServiceTest, RefusesAnUploadWithoutRoom) {
  v1::Upload upload;
  const grpc::Status status = Announce(std::string(1001, 'x'), &upload);
  EXPECT_EQ(DetailsOf(status).reason, "DATASET_SPACE");
}

TEST_F(DatasetServiceTest, DrawsARowForEachClass) {
  grpc::ClientContext context;
  v1::GetImageSheetRequest request;
  request.set_name("datasets/small");
  request.set_split(v1::DATASET_SPLIT_TRAINING);
  request.set_columns(3);
  v1::ImageSheet sheet;
  ASSERT_TRUE(stub_->GetImageSheet(&context, request, &sheet).ok());
  EXPECT_THAT(sheet.indices(), ElementsAre(0, 1, 2, 4, -1, -1));
  EXPECT_EQ(sheet.row_classes_size(), 2);
  const auto picture = models::DecodeImage(sheet.png());
  ASSERT_TRUE(picture.ok()) << picture.status();
  const std::int64_t side = 2 * sheet.zoom() + 2;
  EXPECT_EQ(picture->height, 2 + 2 * side);
  EXPECT_EQ(picture->width, 2 + 3 * side);
  EXPECT_EQ(picture->pixels[static_cast<std::size_t>(2 * picture->width + 2)], 7);
  EXPECT_EQ(picture->pixels[0], 255);
}

TEST_F(DatasetServiceTest, DrawsChosenImagesInTheirOrder) {
  grpc::ClientContext context;
  v1::GetImageSheetRequest request;
  request.set_name("datasets/small");
  request.set_split(v1::DATASET_SPLIT_TRAINING);
  request.set_columns(2);
  for (const int index : {4, 0, 2}) request.add_indices(index);
  v1::ImageSheet sheet;
  ASSERT_TRUE(stub_->GetImageSheet(&context, request, &sheet).ok());
  EXPECT_THAT(sheet.indices(), ElementsAre(4, 0, 2, -1));
  EXPECT_EQ(sheet.row_classes_size(), 0);
  const auto picture = models::DecodeImage(sheet.png());
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->height, 2 + 2 * (2 * sheet.zoom() + 2));
}

TEST_F(DatasetServiceTest, RefusesToDrawImagesThatAreNotThere) {
  for (const int index : {-1, 5}) {
    grpc::ClientContext context;
    v1::GetImageSheetRequest request;
    request.set_name("datasets/small");
    request.set_split(v1::DATASET_SPLIT_TRAINING);
    request.add_indices(index);
    v1::ImageSheet sheet;
    const grpc::Status status = stub_->GetImageSheet(&context, request, &sheet);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << index;
  }
  grpc::ClientContext context;
  v1::GetImageSheetRequest request;
  request.set_name("datasets/small");
  request.set_class_name("shirt");
  request.add_indices(0);
  v1::ImageSheet sheet;
  const grpc::Status status = stub_->GetImageSheet(&context, request, &sheet);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace atelier::rpc
