// What a worker fetches that does not see the server's data directory, from one that has its
// faults.
#include "server/worker/fetched_assignment.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/files/durable_file.h"
#include "tests/unit/worker/fake_file_server.h"

namespace atelier::worker {
namespace {

using ::testing::HasSubstr;

const grpc::Status kAnotherFile(grpc::StatusCode::FAILED_PRECONDITION, "another file by now");

class FetchedAssignmentTest : public ::testing::Test {
 protected:
  FetchedAssignmentTest() {
    std::string pattern = ::testing::TempDir() + "/fetched-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    training_.mutable_spec();
    training_.add_earlier_attempt_dirs("/srv/atelier/jobs/1/attempts/1");
    scoring_.mutable_evaluation();
    scoring_.set_dataset_file("/srv/atelier/datasets/digits");
  }
  ~FetchedAssignmentTest() override { std::filesystem::remove_all(folder_); }

  absl::StatusOr<FetchedAssignment> Fetch(const v1::Assignment& assignment) {
    const NodeCache cache({.dir = folder_ + "/datasets", .max_bytes = 100, .stop = &stop_});
    FileLine line(server_.Line());
    return FetchAssignment(assignment, &line, cache, folder_);
  }

  std::string Checkpoint(int number) const {
    const auto content =
        models::ReadWholeFile(absl::StrCat(folder_, "/earlier/checkpoint-", number, ".ckpt"), 1000);
    return content.ok() ? *content : "";
  }

  std::string folder_;
  models::StopSignal stop_;
  FakeFileServer server_;
  v1::Assignment training_;
  v1::Assignment scoring_;
};

TEST_F(FetchedAssignmentTest, LeavesCheckpointsToTheWalls) {
  server_.Put(v1::FILE_KIND_CHECKPOINT, 100, "not a checkpoint");
  server_.Put(v1::FILE_KIND_CHECKPOINT, 120, "nor this");
  const auto fetched = Fetch(training_);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(fetched->assignment.earlier_attempt_dirs(0), folder_ + "/earlier");
  EXPECT_EQ(Checkpoint(100), "not a checkpoint");
  EXPECT_EQ(Checkpoint(120), "nor this");
}

TEST_F(FetchedAssignmentTest, BringsACheckpointAfterAPassingError) {
  server_.Put(v1::FILE_KIND_CHECKPOINT, 120, "state");
  server_.set_read_fault([](int call) { return call < 8 ? kAnotherFile : grpc::Status::OK; });
  const auto fetched = Fetch(training_);
  ASSERT_TRUE(fetched.ok()) << fetched.status();
  EXPECT_EQ(Checkpoint(120), "state");
}

TEST_F(FetchedAssignmentTest, DoesNotBeginWithoutACheckpointThatDoesNotCome) {
  server_.Put(v1::FILE_KIND_CHECKPOINT, 120, "state");
  server_.set_read_fault([](int) { return kAnotherFile; });
  const absl::Status status = Fetch(training_).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("another file by now"));
  EXPECT_GT(server_.lists(), 10);
}

TEST_F(FetchedAssignmentTest, DoesNotBeginWithoutACheckpointThatGoesAstray) {
  server_.set_list_fault([](int) { return grpc::Status(grpc::StatusCode::NOT_FOUND, "gone"); });
  EXPECT_TRUE(absl::IsUnavailable(Fetch(training_).status()));
}

TEST_F(FetchedAssignmentTest, BeginsWhereNoCheckpointIsListed) {
  const auto fetched = Fetch(training_);
  EXPECT_TRUE(fetched.ok()) << fetched.status();
}

TEST_F(FetchedAssignmentTest, ADataSetThatStaysTheSameIsAskedForAgain) {
  server_.Put(v1::FILE_KIND_DATASET, 0, "pixels");
  server_.set_read_fault([](int call) { return call < 8 ? kAnotherFile : grpc::Status::OK; });
  const auto fetched = Fetch(scoring_);
  EXPECT_TRUE(fetched.ok()) << fetched.status();
}

TEST_F(FetchedAssignmentTest, ADataSetThatChangesAllTheTimeIsLeftToAnotherAttempt) {
  server_.set_list_fault([this](int call) {
    server_.Put(v1::FILE_KIND_DATASET, 0, absl::StrCat("pixels ", call));
    return grpc::Status::OK;
  });
  server_.set_read_fault([](int) { return kAnotherFile; });
  const absl::Status status = Fetch(scoring_).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_LT(server_.lists(), 10);
}

TEST_F(FetchedAssignmentTest, ADataSetThatIsNotThereIsSaidToBeMissing) {
  server_.set_list_fault([](int) { return grpc::Status(grpc::StatusCode::NOT_FOUND, "gone"); });
  EXPECT_TRUE(absl::IsNotFound(Fetch(scoring_).status()));
}

}  // namespace
}  // namespace atelier::worker
