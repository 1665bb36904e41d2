// Files of attempts, piece by piece, without a server around them.
#include "server/transfers/attempt_files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/util/time_util.h"
#include "gtest/gtest.h"
#include "models/files/sha256.h"
#include "server/base/system_clock.h"
#include "tests/unit/sanitizers.h"
#include "tests/unit/serving/tiny_dataset.h"

namespace atelier::transfers {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using worker::v1::Assignment;
using worker::v1::FileKind;
using worker::v1::ReadFileRequest;
using worker::v1::WriteFileRequest;
using worker::v1::WriteFileResponse;

void Put(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string Get(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class AttemptFilesTest : public ::testing::Test {
 protected:
  AttemptFilesTest() {
    std::string pattern = ::testing::TempDir() + "/files-XXXXXX";
    root_ = mkdtemp(pattern.data());
    training_.mutable_spec();
    training_.set_attempt_dir(root_ / "2");
    training_.add_earlier_attempt_dirs(root_ / "1");
    fs::create_directories(root_ / "2");
    fs::create_directories(root_ / "1");
  }
  ~AttemptFilesTest() override { fs::remove_all(root_); }

  static WriteFileRequest Piece(FileKind kind, std::int64_t number, const std::string& whole,
                                std::size_t offset, std::size_t size) {
    WriteFileRequest request;
    request.mutable_file()->set_kind(kind);
    request.mutable_file()->set_number(number);
    request.set_size_bytes(static_cast<std::int64_t>(whole.size()));
    request.set_sha256(models::Sha256Of(whole));
    request.set_offset(static_cast<std::int64_t>(offset));
    request.set_data(whole.substr(offset, size));
    return request;
  }

  std::vector<std::string> Names(const fs::path& folder) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  fs::path root_;
  Assignment training_;
  SystemClock clock_;
  AttemptFiles files_{{}, &clock_};
};

TEST_F(AttemptFilesTest, GivesTheNewestCheckpointsOfEarlierAttempts) {
  training_.add_earlier_attempt_dirs(root_ / "0");
  Put(root_ / "1/checkpoint-20.ckpt", "twenty");
  Put(root_ / "0/checkpoint-9.ckpt", "nine");
  Put(root_ / "0/checkpoint-10.ckpt", "ten");
  Put(root_ / "0/checkpoint-030.ckpt", "a second name");
  fs::create_symlink("/etc/hostname", root_ / "1/checkpoint-40.ckpt");
  const auto listed = files_.List(training_, worker::v1::FILE_KIND_CHECKPOINT);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->files_size(), 2);
  EXPECT_EQ(listed->files(0).number(), 20);
  EXPECT_EQ(listed->files(1).number(), 10);
  EXPECT_EQ(listed->files(0).sha256(), models::Sha256Of("twenty"));
  ReadFileRequest request;
  request.mutable_file()->set_kind(worker::v1::FILE_KIND_CHECKPOINT);
  request.mutable_file()->set_number(10);
  request.set_sha256(listed->files(1).sha256());
  request.set_offset(1);
  EXPECT_EQ(files_.Read(training_, request)->data(), "en");
  request.mutable_file()->set_number(40);
  EXPECT_TRUE(absl::IsFailedPrecondition(files_.Read(training_, request).status()));
}

TEST_F(AttemptFilesTest, GivesNothingThatTheAssignmentDoesNotName) {
  for (const FileKind kind :
       {worker::v1::FILE_KIND_DATASET, worker::v1::FILE_KIND_START_ARCHIVE,
        worker::v1::FILE_KIND_EVALUATION_ARCHIVE, worker::v1::FILE_KIND_IMPORT_SOURCE,
        worker::v1::FILE_KIND_CONTINUED_CHECKPOINT, worker::v1::FILE_KIND_FOLD,
        worker::v1::FILE_KIND_MODEL_ARCHIVE, worker::v1::FILE_KIND_LOG}) {
    EXPECT_TRUE(absl::IsPermissionDenied(files_.List(training_, kind).status())) << kind;
  }
}

TEST_F(AttemptFilesTest, TakesNothingThatTheJobDoesNotLeave) {
  for (const FileKind kind : {worker::v1::FILE_KIND_DATASET, worker::v1::FILE_KIND_START_ARCHIVE,
                              worker::v1::FILE_KIND_FOLD, worker::v1::FILE_KIND_PACKED_DATASET}) {
    EXPECT_TRUE(
        absl::IsPermissionDenied(files_.Write(training_, Piece(kind, 0, "x", 0, 1)).status()));
  }
  EXPECT_TRUE(absl::IsInvalidArgument(
      files_.Write(training_, Piece(worker::v1::FILE_KIND_CHECKPOINT, -1, "x", 0, 1)).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(
      files_.Write(training_, Piece(worker::v1::FILE_KIND_MODEL_ARCHIVE, 1, "x", 0, 1)).status()));
  WriteFileRequest large = Piece(worker::v1::FILE_KIND_MODEL_ARCHIVE, 0, "x", 0, 1);
  large.set_size_bytes(std::int64_t{1} << 50);
  EXPECT_TRUE(absl::IsInvalidArgument(files_.Write(training_, large).status()));
  EXPECT_THAT(Names(root_ / "2"), IsEmpty());
}

TEST_F(AttemptFilesTest, AnotherFileIsToBeListedAgain) {
  Put(root_ / "start.tar.gz", "weights");
  training_.set_start_archive(root_ / "start.tar.gz");
  const auto listed = files_.List(training_, worker::v1::FILE_KIND_START_ARCHIVE);
  ASSERT_EQ(listed->files_size(), 1);
  Put(root_ / "start.tar.gz", "other weights");
  ReadFileRequest request;
  request.mutable_file()->set_kind(worker::v1::FILE_KIND_START_ARCHIVE);
  request.set_sha256(listed->files(0).sha256());
  EXPECT_TRUE(absl::IsFailedPrecondition(files_.Read(training_, request).status()));
}

TEST_F(AttemptFilesTest, StoresAFileWhenAllOfItIsThere) {
  const std::string whole = "the model";
  const auto piece = [&](std::size_t offset, std::size_t size) {
    return files_.Write(training_,
                        Piece(worker::v1::FILE_KIND_MODEL_ARCHIVE, 0, whole, offset, size));
  };
  EXPECT_EQ(piece(0, 4)->received_bytes(), 4);
  EXPECT_THAT(Names(root_ / "2"), ElementsAre("model.tar.gz.part"));
  // What does not follow is not taken: it is said where to go on.
  EXPECT_EQ(piece(0, 4)->received_bytes(), 4);
  EXPECT_EQ(piece(6, 3)->received_bytes(), 4);
  // Of a server that was started again, too.
  AttemptFiles next({}, &clock_);
  const auto last =
      next.Write(training_, Piece(worker::v1::FILE_KIND_MODEL_ARCHIVE, 0, whole, 4, 5));
  ASSERT_TRUE(last.ok()) << last.status();
  EXPECT_TRUE(last->stored());
  EXPECT_THAT(Names(root_ / "2"), ElementsAre("model.tar.gz"));
  EXPECT_EQ(Get(root_ / "2/model.tar.gz"), whole);
  // The answer was lost.
  EXPECT_TRUE(piece(0, 4)->stored());
}

TEST_F(AttemptFilesTest, WhatWasDamagedIsSentAgain) {
  WriteFileRequest request = Piece(worker::v1::FILE_KIND_CHECKPOINT, 3, "sound", 0, 5);
  request.set_data("wrong");
  EXPECT_TRUE(absl::IsDataLoss(files_.Write(training_, request).status()));
  EXPECT_THAT(Names(root_ / "2"), IsEmpty());
  request.set_data("sound");
  EXPECT_TRUE(files_.Write(training_, request)->stored());
}

TEST_F(AttemptFilesTest, KeepsTwoCheckpointsAndOneFileThatIsBegun) {
  for (const int number : {5, 10, 15}) {
    EXPECT_TRUE(
        files_.Write(training_, Piece(worker::v1::FILE_KIND_CHECKPOINT, number, "state", 0, 5))
            ->stored());
  }
  for (const int number : {20, 25}) {
    EXPECT_FALSE(
        files_.Write(training_, Piece(worker::v1::FILE_KIND_CHECKPOINT, number, "state", 0, 2))
            ->stored());
  }
  EXPECT_THAT(Names(root_ / "2"), UnorderedElementsAre("checkpoint-10.ckpt", "checkpoint-15.ckpt",
                                                       "checkpoint-25.ckpt.part"));
  AttemptFiles::RemoveParts(training_);
  EXPECT_THAT(Names(root_ / "2"), UnorderedElementsAre("checkpoint-10.ckpt", "checkpoint-15.ckpt"));
}

TEST_F(AttemptFilesTest, WhatIsSentAgainIsSettledAgain) {
  Put(root_ / "2/checkpoint-10.ckpt", "state");
  Put(root_ / "2/checkpoint-20.ckpt", "state");
  // Renamed, but the server ended before it could say so.
  Put(root_ / "2/checkpoint-30.ckpt", "state");
  EXPECT_TRUE(files_.Write(training_, Piece(worker::v1::FILE_KIND_CHECKPOINT, 30, "state", 0, 0))
                  ->stored());
  EXPECT_THAT(Names(root_ / "2"), UnorderedElementsAre("checkpoint-20.ckpt", "checkpoint-30.ckpt"));
}

// While it lives the process can open nothing.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = open("/", O_RDONLY | O_CLOEXEC);
    close(next);
    const rlimit none = {static_cast<rlim_t>(next), before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_F(AttemptFilesTest, WhatPassesIsNotTakenForALoss) {
  if (kAddressSanitizer) {
    GTEST_SKIP() << "the sanitizer's checks need descriptors of their own; other builds run this";
  }
  Put(root_ / "1/checkpoint-20.ckpt", "twenty");
  ReadFileRequest request;
  request.mutable_file()->set_kind(worker::v1::FILE_KIND_CHECKPOINT);
  request.mutable_file()->set_number(20);
  request.set_sha256(models::Sha256Of("twenty"));
  {
    const NoDescriptors none;
    EXPECT_TRUE(
        absl::IsUnavailable(files_.List(training_, worker::v1::FILE_KIND_CHECKPOINT).status()));
    EXPECT_TRUE(absl::IsUnavailable(files_.Read(training_, request).status()));
  }
  EXPECT_EQ(files_.List(training_, worker::v1::FILE_KIND_CHECKPOINT)->files_size(), 1);
  EXPECT_EQ(files_.Read(training_, request)->data(), "twenty");
  fs::remove(root_ / "1/checkpoint-20.ckpt");
  EXPECT_TRUE(absl::IsFailedPrecondition(files_.Read(training_, request).status()));
}

TEST_F(AttemptFilesTest, APackedDataSetIsReadToItsEndWhateverTheCacheRemoves) {
  const models::TemporaryFolder sources;
  serving::WriteDataset(sources, 4);
  Assignment assignment;
  assignment.set_dataset_dir(sources.path());
  assignment.set_dataset_cache_dir(root_ / "cache");
  const auto listed = files_.List(assignment, worker::v1::FILE_KIND_DATASET);
  ASSERT_TRUE(listed.ok()) << listed.status();
  ASSERT_EQ(listed->files_size(), 1);
  fs::remove_all(root_ / "cache");
  ReadFileRequest request;
  request.mutable_file()->set_kind(worker::v1::FILE_KIND_DATASET);
  request.set_sha256(listed->files(0).sha256());
  const auto read = files_.Read(assignment, request);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(models::Sha256Of(read->data()), listed->files(0).sha256());
}

TEST_F(AttemptFilesTest, ACacheThatCannotBeWrittenIsAnError) {
  const models::TemporaryFolder sources;
  serving::WriteDataset(sources, 4);
  Assignment assignment;
  assignment.set_dataset_dir(sources.path());
  assignment.set_dataset_cache_dir("/proc/nowhere");
  EXPECT_TRUE(absl::IsInternal(files_.List(assignment, worker::v1::FILE_KIND_DATASET).status()));
}

TEST_F(AttemptFilesTest, AppendsToALogWhatItDoesNotHave) {
  const auto append = [&](std::size_t offset, const std::string& text) {
    WriteFileRequest request;
    request.mutable_file()->set_kind(worker::v1::FILE_KIND_LOG);
    request.set_offset(static_cast<std::int64_t>(offset));
    request.set_data(text);
    return files_.Write(training_, request)->received_bytes();
  };
  EXPECT_EQ(append(0, "one\n"), 4);
  EXPECT_EQ(append(0, "one\ntwo\n"), 8);
  EXPECT_EQ(append(4, "two\n"), 8);
  EXPECT_EQ(append(20, "after a gap\n"), 8);
  EXPECT_EQ(Get(root_ / "2/worker.log"), "one\ntwo\n");
}

TEST_F(AttemptFilesTest, SaysHowLongToWait) {
  AttemptFiles paced({.rate = 1000}, &clock_);
  WriteFileRequest request =
      Piece(worker::v1::FILE_KIND_MODEL_ARCHIVE, 0, std::string(5000, 'x'), 0, 2000);
  const auto answer = paced.Write(training_, request);
  ASSERT_TRUE(answer.ok());
  using google::protobuf::util::TimeUtil;
  const auto pause = TimeUtil::DurationToMilliseconds(answer->pause());
  EXPECT_GT(pause, 1900);
  EXPECT_LE(pause, 2000);
}

}  // namespace
}  // namespace atelier::transfers
