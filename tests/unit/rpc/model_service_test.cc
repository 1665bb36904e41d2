// ModelService over a real channel and the real registry; its versions come from jobs that fakes
// ran.
#include "server/rpc/model_service.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "models/files/sha256.h"
#include "server/wiring/registry_versions.h"
#include "tests/unit/jobs/controller_test_server.h"
#include "tests/unit/rpc/folder_artifacts.h"
#include "tests/unit/rpc/rpc_test_server.h"
#include "tests/unit/serving/tiny_archive.h"

namespace atelier::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::UnorderedElementsAre;

constexpr int kArchiveBytes = 123;  // What the fixture's outcomes say.

class ModelServiceTest : public jobs::ControllerTest {
 protected:
  ModelServiceTest()
      : archives_(folder_.string()),
        service_({.models = store_.get(),
                  .artifacts = &archives_,
                  .controller = controller_.get(),
                  .tasks = &tasks_,
                  .streams = &streams_,
                  .viewer = nullptr,
                  .picture_tasks = nullptr,
                  .loading_tasks = &loading_tasks_,
                  .on_deleted =
                      [this](const std::string& model, std::int64_t version) {
                        forgotten_.push_back(absl::StrCat(model, "@", version));
                      },
                  .prepare =
                      [this](const std::string& model, std::int64_t version) {
                        prepared_.push_back(absl::StrCat(model, "@", version));
                        if (during_prepare_) during_prepare_();
                        return loadable_;
                      },
                  .on_changed = [this](const std::string& model) { changed_.push_back(model); },
                  .log = [this](const std::string& sentence) { said_.push_back(sentence); }}),
        server_({{"service", &service_}}),
        stub_(v1::ModelService::NewStub(server_.channel())) {}

  // Makes the next version of a model, whose second class has a name.
  void MakeVersion(const std::string& model, const std::string& second_class = "bag") {
    v1::StartTrainingRequest request = Request();
    request.mutable_spec()->set_model_name(model);
    const std::string id = Train(request);
    worker::v1::WorkerEvent outcome = Outcome();
    outcome.mutable_outcome()->mutable_confusion_matrix()->set_class_names(1, second_class);
    ASSERT_TRUE(
        Report(id, {Phase(worker::v1::PHASE_EVALUATING), Phase(worker::v1::PHASE_STORING), outcome})
            .ok());
    ASSERT_EQ(State(id), "COMPLETED");
    executor_.Exit(HandleOf(id), "exited");
    const auto versions = store_->GetModel(model, 1000, "");
    ASSERT_TRUE(versions.ok());
    archives_.WriteArchive(model, versions->versions(0).version(), std::string(kArchiveBytes, 'a'));
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::ModelService::Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, request, response);
  }

  grpc::Status Get(const std::string& name, v1::Model* model) {
    v1::GetModelRequest request;
    request.set_name(name);
    return Call(&v1::ModelService::Stub::GetModel, request, model);
  }

  grpc::Status SetAlias(const std::string& name, const std::string& alias, std::int64_t version,
                        v1::Model* model, bool force = false) {
    v1::SetAliasRequest request;
    request.set_force(force);
    request.set_name(name);
    request.set_alias(alias);
    request.set_version(version);
    return Call(&v1::ModelService::Stub::SetAlias, request, model);
  }

  grpc::Status Delete(const std::string& name, bool force = false) {
    v1::DeleteModelRequest request;
    request.set_name(name);
    request.set_force(force);
    google::protobuf::Empty nothing;
    return Call(&v1::ModelService::Stub::DeleteModel, request, &nothing);
  }

  std::vector<v1::DownloadChunk> Download(const std::string& name, v1::ModelFormat format,
                                          grpc::Status* status) {
    v1::DownloadModelRequest request;
    request.set_name(name);
    request.set_format(format);
    grpc::ClientContext context;
    auto reader = stub_->DownloadModel(&context, request);
    std::vector<v1::DownloadChunk> chunks;
    for (v1::DownloadChunk chunk; reader->Read(&chunk);) chunks.push_back(chunk);
    *status = reader->Finish();
    return chunks;
  }

  FolderArtifacts archives_;
  std::vector<std::string> forgotten_;
  std::vector<std::string> prepared_;
  std::vector<std::string> changed_;
  absl::Status loadable_;
  std::vector<std::string> said_;
  StreamSet streams_{{}};
  std::function<void()> during_prepare_;
  TaskQueue tasks_{{.name = "calls", .threads = 1}};
  TaskQueue loading_tasks_{{.name = "loading", .threads = 1}};
  ModelService service_;
  RpcTestServer server_;
  std::unique_ptr<v1::ModelService::Stub> stub_;
};

TEST_F(ModelServiceTest, OtherCallsAreServedWhileAnAliasWaitsForItsVersion) {
  MakeVersion("a");
  grpc::Status other;
  during_prepare_ = [&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::GetModelRequest request;
    request.set_name("models/a");
    v1::Model model;
    other = stub_->GetModel(&context, request, &model);
  };
  v1::Model model;
  EXPECT_TRUE(SetAlias("models/a", "production", 1, &model).ok());
  EXPECT_TRUE(other.ok()) << other.error_message();
}

TEST_F(ModelServiceTest, ListsAndGets) {
  MakeVersion("b");
  MakeVersion("a");
  MakeVersion("a");
  v1::ListModelsResponse list;
  ASSERT_TRUE(Call(&v1::ModelService::Stub::ListModels, v1::ListModelsRequest(), &list).ok());
  ASSERT_EQ(list.models_size(), 2);
  EXPECT_EQ(list.models(0).name(), "models/a");
  EXPECT_EQ(list.models(0).version_count(), 2);
  v1::Model model;
  ASSERT_TRUE(Get("models/a", &model).ok());
  EXPECT_EQ(model.versions_size(), 2);
  EXPECT_EQ(DetailsOf(Get("models/none", &model)).reason, "MODEL_NOT_FOUND");
}

TEST_F(ModelServiceTest, RefusesNamesPagesAliasesAndFormatsThatAreNone) {
  MakeVersion("a");
  v1::Model model;
  for (const char* name : {"", "a", "models/", "models/a/versions/1", "models/../x"}) {
    EXPECT_THAT(DetailsOf(Get(name, &model)).violations, ElementsAre(Key("name"))) << name;
  }
  for (const char* alias : {"", "latest", "1a", "Prod", "a/b"}) {
    EXPECT_THAT(DetailsOf(SetAlias("models/a", alias, 1, &model)).violations,
                ElementsAre(Key("alias")))
        << alias;
  }
  EXPECT_THAT(DetailsOf(SetAlias("models/a", "", -1, &model)).violations,
              UnorderedElementsAre(Key("alias"), Key("version")));
  v1::ListModelsRequest list;
  v1::ListModelsResponse page;
  list.set_page_token("elsewhere");
  EXPECT_THAT(DetailsOf(Call(&v1::ModelService::Stub::ListModels, list, &page)).violations,
              ElementsAre(Key("page_token")));
  list.set_page_size(1001);
  EXPECT_THAT(DetailsOf(Call(&v1::ModelService::Stub::ListModels, list, &page)).violations,
              ElementsAre(Key("page_size")));
  grpc::Status status;
  Download("models/a", static_cast<v1::ModelFormat>(77), &status);
  EXPECT_THAT(DetailsOf(status).violations, ElementsAre(Key("format")));
}

TEST_F(ModelServiceTest, AnAliasLeadsToItsVersion) {
  MakeVersion("a");
  MakeVersion("a");
  v1::Model model;
  ASSERT_TRUE(SetAlias("models/a", "production", 1, &model).ok());
  EXPECT_EQ(model.aliases_size(), 2);
  wiring::RegistryVersions versions(store_.get(), &archives_);
  EXPECT_EQ(versions.Resolve("a", "production")->number, 1);
  EXPECT_EQ(versions.Resolve("a", "")->number, 2);
  EXPECT_EQ(versions.Resolve("a", "1")->archive_path, archives_.ArchivePath("a", 1));
  EXPECT_EQ(versions.Resolve("a", "7").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(DetailsOf(SetAlias("models/a", "production", 9, &model)).reason, "VERSION_NOT_FOUND");
}

TEST_F(ModelServiceTest, AnAliasMovesToOtherClassesOnlyByForce) {
  MakeVersion("a");
  MakeVersion("a", "boot");
  v1::Model model;
  ASSERT_TRUE(SetAlias("models/a", "production", 1, &model).ok());
  const grpc::Status status = SetAlias("models/a", "production", 2, &model);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(status).reason, "OTHER_CLASSES");
  EXPECT_THAT(status.error_message(), HasSubstr("its class 1 is 'boot' instead of 'bag'"));
  EXPECT_TRUE(SetAlias("models/a", "production", 2, &model, /*force=*/true).ok());
}

TEST_F(ModelServiceTest, AnAliasMovesOnlyToWhatCanBeLoaded) {
  MakeVersion("a");
  MakeVersion("a");
  v1::Model model;
  ASSERT_TRUE(SetAlias("models/a", "production", 1, &model).ok());
  EXPECT_THAT(prepared_, ElementsAre("a@1"));
  EXPECT_THAT(changed_, ElementsAre("a"));
  loadable_ = absl::UnavailableError("it is damaged");
  const grpc::Status status = SetAlias("models/a", "production", 2, &model);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "it is damaged");
  EXPECT_EQ(DetailsOf(status).reason, "VERSION_UNAVAILABLE");
  wiring::RegistryVersions versions(store_.get(), &archives_);
  EXPECT_EQ(versions.Resolve("a", "production")->number, 1);
  EXPECT_EQ(changed_.size(), 1);
  ASSERT_TRUE(SetAlias("models/a", "production", 0, &model).ok()) << "nothing is loaded for that";
}

TEST_F(ModelServiceTest, ListsModelsAndVersionsForServing) {
  MakeVersion("b");
  MakeVersion("a");
  MakeVersion("a");
  wiring::RegistryVersions versions(store_.get(), &archives_);
  EXPECT_THAT(*versions.Models(), ElementsAre("a", "b"));
  const auto all = versions.Versions("a");
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2);
  EXPECT_EQ((*all)[0], *versions.Resolve("a", "1"));
  EXPECT_EQ((*all)[1], *versions.Resolve("a", "2"));
  EXPECT_EQ(versions.Versions("c").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ModelServiceTest, DeletesVersionsWithTheirFiles) {
  for (int i = 0; i < 3; ++i) MakeVersion("a");
  v1::Model model;
  ASSERT_TRUE(SetAlias("models/a", "production", 1, &model).ok());
  const grpc::Status in_use = Delete("models/a/versions/1");
  EXPECT_EQ(in_use.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(in_use).reason, "VERSION_IN_USE");
  EXPECT_THAT(DetailsOf(Delete("models/a/versions/production")).violations,
              ElementsAre(Key("name")));
  ASSERT_TRUE(Delete("models/a/versions/2").ok());
  EXPECT_FALSE(std::filesystem::exists(archives_.ArchivePath("a", 2)));
  EXPECT_THAT(forgotten_, ElementsAre("a@2"));
  ASSERT_TRUE(Delete("models/a", /*force=*/true).ok());
  EXPECT_FALSE(std::filesystem::exists(archives_.ArchivePath("a", 1)));
  EXPECT_EQ(Get("models/a", &model).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(ModelServiceTest, AFileThatCannotBeRemovedIsToldToTheLogAlone) {
  MakeVersion("a");
  std::filesystem::remove(archives_.ArchivePath("a", 1));
  EXPECT_TRUE(Delete("models/a/versions/1").ok());
  EXPECT_EQ(said_.size(), 1);
}

TEST_F(ModelServiceTest, SendsTheArchive) {
  MakeVersion("a");
  grpc::Status status;
  const auto chunks = Download("models/a", v1::MODEL_FORMAT_UNSPECIFIED, &status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(chunks.size(), 1);
  EXPECT_EQ(chunks[0].data(), std::string(kArchiveBytes, 'a'));
  EXPECT_EQ(chunks[0].total_bytes(), kArchiveBytes);
  EXPECT_EQ(chunks[0].sha256(), "abc");
  EXPECT_EQ(chunks[0].model_version(), "models/a/versions/1");
}

TEST_F(ModelServiceTest, SendsTheTorchScriptFile) {
  MakeVersion("a");
  ASSERT_TRUE(serving::WriteTinyArchive(archives_.ArchivePath("a", 1)).ok());
  grpc::Status status;
  const auto chunks = Download("models/a/versions/1", v1::MODEL_FORMAT_TORCHSCRIPT, &status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::string script;
  for (const auto& chunk : chunks) script += chunk.data();
  EXPECT_EQ(static_cast<std::int64_t>(script.size()), chunks[0].total_bytes());
  EXPECT_EQ(models::Sha256Of(script), chunks[0].sha256());
  EXPECT_EQ(script.substr(0, 2), "PK") << "TorchScript is a zip file";
}

TEST_F(ModelServiceTest, SendsTheOnnxFile) {
  MakeVersion("a");
  const std::string path = archives_.ArchivePath("a", 1);
  ASSERT_TRUE(serving::WriteTinyArchive(path).ok());
  grpc::Status status;
  const auto chunks = Download("models/a", v1::MODEL_FORMAT_ONNX, &status);
  ASSERT_TRUE(status.ok()) << status.error_message();
  std::string onnx;
  for (const auto& chunk : chunks) onnx += chunk.data();
  EXPECT_EQ(onnx, models::ReadModelArchive(path)->model_onnx);
  EXPECT_EQ(models::Sha256Of(onnx), chunks[0].sha256());
}

TEST_F(ModelServiceTest, AMissingOrChangedArchiveIsUnavailable) {
  MakeVersion("a");
  for (const v1::ModelFormat format :
       {v1::MODEL_FORMAT_ARCHIVE, v1::MODEL_FORMAT_TORCHSCRIPT, v1::MODEL_FORMAT_ONNX}) {
    grpc::Status status;
    archives_.WriteArchive("a", 1, "shorter");
    Download("models/a", format, &status);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_EQ(DetailsOf(status).reason, "VERSION_UNAVAILABLE");
    std::filesystem::remove(archives_.ArchivePath("a", 1));
    Download("models/a", format, &status);
    EXPECT_EQ(DetailsOf(status).reason, "VERSION_UNAVAILABLE");
    std::filesystem::create_directory(archives_.ArchivePath("a", 1));
    Download("models/a", format, &status);
    EXPECT_EQ(DetailsOf(status).reason, "VERSION_UNAVAILABLE");
    EXPECT_THAT(status.error_message(), testing::HasSubstr("is a folder, not a file"));
    std::filesystem::remove(archives_.ArchivePath("a", 1));
  }
}

}  // namespace
}  // namespace atelier::rpc
