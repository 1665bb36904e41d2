#include "server/uploads/upload_folder.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gmock/gmock.h"
#include "models/files/sha256.h"
#include "server/jobs/error.h"
#include "server/jobs/resource_names.h"
#include "tests/unit/jobs/fakes.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::uploads {
namespace {

namespace fs = std::filesystem;
using jobs::ReasonOf;
using testing::HasSubstr;

class UploadFolderTest : public testing::Test {
 protected:
  UploadFolderTest() {
    options_.folder = folder_ / "uploads";
    options_.space = 1000;
    Open();
  }

  void Open() {
    uploads_.reset();
    auto opened = UploadFolder::Open(options_, &clock_);
    ASSERT_TRUE(opened.ok()) << opened.status();
    uploads_ = *std::move(opened);
  }

  static v1::Upload Wanted(const std::string& bytes, const std::string& dataset = "digits") {
    v1::Upload upload;
    upload.set_dataset(jobs::DatasetName(dataset));
    upload.set_size_bytes(static_cast<std::int64_t>(bytes.size()));
    upload.set_sha256(models::Sha256Of(bytes));
    upload.set_source_name("pictures");
    return upload;
  }

  // The id of a new upload of these bytes.
  std::string Create(const std::string& bytes) {
    const auto upload = uploads_->Create(Wanted(bytes), 0);
    EXPECT_TRUE(upload.ok()) << upload.status();
    return upload.ok() ? *jobs::ParseUploadName(upload->name()) : "";
  }

  // Writes a piece as a call of its own.
  absl::StatusOr<v1::Upload> Write(const std::string& id, std::int64_t offset,
                                   const std::string& piece) {
    auto writer = uploads_->OpenWriter(id, offset);
    if (!writer.ok()) return writer.status();
    if (absl::Status status = (*writer)->Write(offset, piece); !status.ok()) return status;
    return (*writer)->Finish();
  }

  jobs::JobRecord Import(const std::string& id, v1::JobState state) {
    jobs::JobRecord record;
    record.id = "import-digits";
    record.job.set_state(state);
    record.job.mutable_import()->set_upload(jobs::UploadName(id));
    return record;
  }

  // Whether an import could begin.
  absl::Status Complete(const std::string& id) {
    return uploads_->Import(id, [](const v1::Upload&) { return v1::TrainingJob(); }).status();
  }

  std::string Content(const std::string& id) {
    std::ifstream file(fs::path(options_.folder) / id / "content", std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  store::TemporaryFolder folder_;
  jobs::FakeClock clock_;
  UploadFolder::Options options_;
  std::unique_ptr<UploadFolder> uploads_;
};

TEST_F(UploadFolderTest, TakesPiecesUntilAllIsThere) {
  const std::string id = Create("0123456789");
  EXPECT_EQ(Write(id, 0, "0123")->received_bytes(), 4);
  EXPECT_EQ(ReasonOf(Complete(id)), "UPLOAD_INCOMPLETE");
  EXPECT_EQ(Write(id, 4, "456789")->received_bytes(), 10);
  EXPECT_TRUE(Complete(id).ok());
  EXPECT_EQ(Content(id), "0123456789");
}

TEST_F(UploadFolderTest, GoesOnAfterARestart) {
  const std::string id = Create("0123456789");
  ASSERT_TRUE(Write(id, 0, "0123").ok());
  Open();
  EXPECT_EQ(uploads_->Get(id)->received_bytes(), 4);
  EXPECT_EQ(Write(id, 4, "456789")->received_bytes(), 10);
  Open();
  EXPECT_TRUE(Complete(id).ok()) << "the checksum is made of the file";
}

TEST_F(UploadFolderTest, WhatAWriterLeftStays) {
  const std::string id = Create("0123456789");
  {
    auto writer = uploads_->OpenWriter(id, 0);
    ASSERT_TRUE((*writer)->Write(0, "012").ok());
    EXPECT_EQ(uploads_->Get(id)->received_bytes(), 0) << "not durable yet";
  }
  EXPECT_EQ(uploads_->Get(id)->received_bytes(), 3);
}

TEST_F(UploadFolderTest, TheSameContentContinuesTheEarlierUpload) {
  const std::string id = Create("0123456789");
  ASSERT_TRUE(Write(id, 0, "0123").ok());
  EXPECT_EQ(uploads_->Create(Wanted("0123456789"), 0)->received_bytes(), 4);
  EXPECT_NE(*uploads_->Create(Wanted("0123456789", "other"), 0)->mutable_name(),
            jobs::UploadName(id));
}

TEST_F(UploadFolderTest, OtherContentThanAnnouncedBeginsAnew) {
  const std::string id = Create("0123456789");
  EXPECT_EQ(ReasonOf(Write(id, 0, "0123456780").status()), "WRONG_CHECKSUM");
  EXPECT_EQ(uploads_->Get(id)->received_bytes(), 0);
  EXPECT_TRUE(Write(id, 0, "0123456789").ok());
}

TEST_F(UploadFolderTest, RefusesPiecesThatDoNotFollow) {
  const std::string id = Create("0123456789");
  EXPECT_EQ(ReasonOf(Write(id, 1, "1").status()), "WRONG_OFFSET");
  EXPECT_TRUE(absl::IsInvalidArgument(Write(id, 0, "").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Write(id, 0, "01234567890").status()));
  auto writer = uploads_->OpenWriter(id, 0);
  EXPECT_EQ(ReasonOf((*writer)->Write(1, "1")), "WRONG_OFFSET");
  EXPECT_TRUE(
      absl::IsInvalidArgument((*writer)->Write(0, std::string(UploadWriter::kMaxPiece + 1, 'x'))));
}

TEST_F(UploadFolderTest, HasOneWriterAtATime) {
  const std::string id = Create("0123456789");
  auto writer = uploads_->OpenWriter(id, 0);
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(ReasonOf(uploads_->OpenWriter(id, 0).status()), "UPLOAD_BUSY");
  EXPECT_EQ(ReasonOf(uploads_->Remove(id)), "UPLOAD_IN_USE");
  writer->reset();
  EXPECT_TRUE(uploads_->OpenWriter(id, 0).ok());
}

TEST_F(UploadFolderTest, RefusesWhatDoesNotFitBeforeTheFirstByte) {
  Create(std::string(600, 'x'));
  const absl::Status status = uploads_->Create(Wanted(std::string(300, 'y')), 200).status();
  EXPECT_EQ(ReasonOf(status), "DATASET_SPACE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("200 are free"));
  EXPECT_TRUE(uploads_->Create(Wanted(std::string(200, 'y')), 200).ok());
}

TEST_F(UploadFolderTest, RefusesTooManyUploads) {
  options_.max_uploads = 1;
  Open();
  Create("a");
  EXPECT_EQ(ReasonOf(uploads_->Create(Wanted("b"), 0).status()), "TOO_MANY_UPLOADS");
  EXPECT_TRUE(uploads_->Create(Wanted("a"), 0).ok()) << "it is there already";
}

TEST_F(UploadFolderTest, ForgetsUploadsThatNobodyUses) {
  const std::string id = Create("0123456789");
  clock_.Advance(absl::Hours(23));
  uploads_->Tick();
  EXPECT_TRUE(uploads_->Get(id).ok());
  clock_.Set(absl::Hours(48));
  uploads_->Tick();
  EXPECT_TRUE(uploads_->Get(id).ok()) << "the wall clock was set, no day went by";
  clock_.Advance(absl::Hours(25));
  uploads_->Tick();
  EXPECT_EQ(ReasonOf(uploads_->Get(id).status()), "UPLOAD_NOT_FOUND");
  EXPECT_TRUE(fs::is_empty(options_.folder));
}

TEST_F(UploadFolderTest, KeepsWhatAJobImports) {
  const std::string id = Create("0123456789");
  uploads_->Stored(Import(id, v1::JOB_STATE_QUEUED), {});
  clock_.Advance(absl::Hours(48));
  uploads_->Tick();
  EXPECT_TRUE(uploads_->Get(id).ok());
  const absl::Status status = uploads_->Remove(id);
  EXPECT_EQ(ReasonOf(status), "UPLOAD_IN_USE");
  EXPECT_THAT(std::string(status.message()), HasSubstr("import-digits"));
}

TEST_F(UploadFolderTest, RemovesWhatWasImportedAndKeepsWhatFailed) {
  const std::string id = Create("0123456789");
  uploads_->Stored(Import(id, v1::JOB_STATE_QUEUED), {});
  uploads_->Stored(Import(id, v1::JOB_STATE_FAILED), {});
  uploads_->Tick();
  EXPECT_TRUE(uploads_->Get(id).ok()) << "another import, with other options, may do";
  int kicks = 0;
  uploads_->SetKick([&] { ++kicks; });
  uploads_->Stored(Import(id, v1::JOB_STATE_COMPLETED), {});
  EXPECT_EQ(kicks, 1);
  uploads_->Tick();
  EXPECT_EQ(ReasonOf(uploads_->Get(id).status()), "UPLOAD_NOT_FOUND");
}

// Two clients that push the same: the second finds the upload while the first one's job has it.
TEST_F(UploadFolderTest, KeepsWhatIsAboutToBeImportedAgain) {
  const std::string id = Create("a");
  ASSERT_TRUE(Write(id, 0, "a").ok());
  jobs::JobRecord again = Import(id, v1::JOB_STATE_QUEUED);
  again.id = "import-digits-2";
  const auto started = uploads_->Import(id, [&](const v1::Upload&) {
    uploads_->Stored(Import(id, v1::JOB_STATE_COMPLETED), {});
    uploads_->Tick();
    EXPECT_EQ(Content(id), "a");
    EXPECT_EQ(ReasonOf(uploads_->Remove(id)), "UPLOAD_IN_USE");
    uploads_->Stored(again, {});
    return v1::TrainingJob();
  });
  ASSERT_TRUE(started.ok()) << started.status();
  uploads_->Tick();
  EXPECT_EQ(Content(id), "a") << "the other job has it";
  again.job.set_state(v1::JOB_STATE_COMPLETED);
  uploads_->Stored(again, {});
  uploads_->Tick();
  EXPECT_EQ(ReasonOf(uploads_->Get(id).status()), "UPLOAD_NOT_FOUND");
}

TEST_F(UploadFolderTest, RemovesWhatWasImportedWhileAnotherImportIsRefused) {
  const std::string id = Create("a");
  ASSERT_TRUE(Write(id, 0, "a").ok());
  int kicks = 0;
  const auto refused =
      uploads_->Import(id, [&](const v1::Upload&) -> absl::StatusOr<v1::TrainingJob> {
        uploads_->Stored(Import(id, v1::JOB_STATE_COMPLETED), {});
        uploads_->Tick();
        uploads_->SetKick([&] { ++kicks; });
        return absl::ResourceExhaustedError("The queue is full.");
      });
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_EQ(kicks, 1);
  uploads_->Tick();
  EXPECT_EQ(ReasonOf(uploads_->Get(id).status()), "UPLOAD_NOT_FOUND");
}

TEST_F(UploadFolderTest, SweepsOutWhatIsNoUpload) {
  const std::string id = Create("0123456789");
  fs::create_directories(fs::path(options_.folder) / "half");
  fs::rename(fs::path(options_.folder) / id, fs::path(options_.folder) / std::string(32, 'a'));
  Open();
  EXPECT_TRUE(fs::is_empty(options_.folder));
}

}  // namespace
}  // namespace atelier::uploads
