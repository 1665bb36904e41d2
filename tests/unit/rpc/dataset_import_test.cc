// DatasetService's imports over a real channel: the real controller, database and uploads.
#include "gmock/gmock.h"
#include "models/files/sha256.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/dataset_service.h"
#include "tests/unit/jobs/controller_test_server.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/folder_artifacts.h"
#include "tests/unit/rpc/rpc_test_server.h"

namespace atelier::rpc {
namespace {

class DatasetImportTest : public jobs::ControllerTest {
 protected:
  // A complete upload; answers with its name.
  std::string Upload(const std::string& bytes) {
    v1::Upload upload;
    {
      grpc::ClientContext context;
      v1::CreateUploadRequest request;
      request.set_dataset("datasets/digits");
      request.set_size_bytes(static_cast<std::int64_t>(bytes.size()));
      request.set_sha256(models::Sha256Of(bytes));
      EXPECT_TRUE(stub_->CreateUpload(&context, request, &upload).ok());
    }
    grpc::ClientContext context;
    const auto writer = stub_->WriteUpload(&context, &upload);
    v1::WriteUploadRequest request;
    request.set_name(upload.name());
    request.set_data(bytes);
    EXPECT_TRUE(writer->Write(request));
    writer->WritesDone();
    EXPECT_TRUE(writer->Finish().ok());
    return upload.name();
  }

  grpc::Status Import(const v1::ImportDatasetRequest& request, v1::TrainingJob* job) {
    grpc::ClientContext context;
    return stub_->ImportDataset(&context, request, job);
  }

  models::TemporaryFolder data_;
  FolderArtifacts files_{data_.path()};
  std::unique_ptr<uploads::UploadFolder> uploads_ = *uploads::UploadFolder::Open(
      {.folder = files_.UploadsDir(), .space = 1000, .log = {}}, &clock_);
  views::DatasetCatalog catalog_{{}, {.cache_dir = data_.path()}};
  TaskQueue tasks_{{.name = "calls", .threads = 1}};
  TaskQueue upload_tasks_{{.name = "uploads", .threads = 1}};
  StreamSet streams_{StreamSet::Options{}};
  DatasetService service_{{.catalog = &catalog_,
                           .pushed = store_.get(),
                           .artifacts = &files_,
                           .controller = controller_.get(),
                           .limits = &resolver_->options(),
                           .uploads = uploads_.get(),
                           .tasks = &tasks_,
                           .upload_tasks = &upload_tasks_,
                           .streams = &streams_}};
  RpcTestServer server_{{{"service", &service_}}};
  std::unique_ptr<v1::DatasetService::Stub> stub_ = v1::DatasetService::NewStub(server_.channel());
};

TEST_F(DatasetImportTest, ARepeatAnswersWithItsJobAfterTheUploadIsGone) {
  v1::ImportDatasetRequest request;
  request.set_upload(Upload("0123456789"));
  request.set_request_id("once");
  v1::TrainingJob first;
  const grpc::Status status = Import(request, &first);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_TRUE(uploads_->Remove(*jobs::ParseUploadName(request.upload())).ok());
  v1::TrainingJob repeat;
  ASSERT_TRUE(Import(request, &repeat).ok());
  EXPECT_EQ(repeat.name(), first.name());
  request.set_request_id("again");
  EXPECT_EQ(DetailsOf(Import(request, &repeat)).reason, "UPLOAD_NOT_FOUND");
}

}  // namespace
}  // namespace atelier::rpc
