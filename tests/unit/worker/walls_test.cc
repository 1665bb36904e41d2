#include "server/worker/walls.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace atelier::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kSocket[] = "unix:/data/worker.sock";

TEST(WallsTest, ATrainingSeesWhatItsAssignmentNames) {
  v1::Assignment assignment;
  assignment.mutable_spec();
  assignment.set_dataset_dir("/datasets/digits");
  assignment.set_dataset_cache_dir("/data/cache/datasets");
  assignment.set_attempt_dir("/data/jobs/a/attempts/3");
  assignment.add_earlier_attempt_dirs("/data/jobs/a/attempts/2");
  assignment.add_earlier_attempt_dirs("/data/jobs/a/attempts/1");
  assignment.set_start_archive("/data/models/m/1/model.tar.gz");
  assignment.set_continued_dir("/data/jobs/a/attempts/0");
  const sandbox::Walls walls = WallsOf(assignment, {kSocket, ""});
  EXPECT_THAT(walls.files.reads, ElementsAre("/datasets/digits", "/data/models/m/1/model.tar.gz",
                                             "/data/jobs/a/attempts/0", "/data/jobs/a/attempts/2",
                                             "/data/jobs/a/attempts/1"));
  EXPECT_THAT(walls.files.writes, ElementsAre("/data/jobs/a/attempts/3", "/data/cache/datasets"));
  EXPECT_FALSE(walls.files.gpu || walls.calls.gpu || walls.calls.network);
  EXPECT_EQ(walls.files.tcp_port, 0);
  EXPECT_TRUE(walls.calls.makes_code);
}

TEST(WallsTest, AnImportSeesItsUploadAndMakesNoCode) {
  v1::Assignment assignment;
  assignment.set_attempt_dir("/data/jobs/a/attempts/1");
  assignment.mutable_import()->set_source("/data/uploads/u/content");
  assignment.mutable_import()->set_max_bytes(1000);
  const sandbox::Walls walls = WallsOf(assignment, {kSocket, ""});
  EXPECT_THAT(walls.files.reads, ElementsAre("/data/uploads/u/content"));
  EXPECT_THAT(walls.files.writes, ElementsAre("/data/jobs/a/attempts/1"));
  EXPECT_FALSE(walls.calls.makes_code);
  EXPECT_EQ(walls.max_file_bytes, 1000 + (std::int64_t{1} << 30));
}

TEST(WallsTest, ScoringSeesItsDataSetAndItsArchive) {
  v1::Assignment assignment;
  assignment.set_attempt_dir("/data/jobs/a/attempts/1");
  assignment.set_dataset_file("/data/datasets/d/1/packed.dataset");
  assignment.mutable_evaluation()->set_archive("/data/models/m/1/model.tar.gz");
  EXPECT_THAT(WallsOf(assignment, {kSocket, ""}).files.reads,
              ElementsAre("/data/datasets/d/1/packed.dataset", "/data/models/m/1/model.tar.gz"));
}

TEST(WallsTest, AGpuIsThereForJobsOnOne) {
  v1::Assignment assignment;
  assignment.mutable_spec()->set_device(atelier::v1::DEVICE_CUDA);
  const sandbox::Walls walls = WallsOf(assignment, {kSocket, ""});
  EXPECT_TRUE(walls.files.gpu);
  EXPECT_TRUE(walls.calls.gpu);
}

TEST(WallsTest, AServerOnAnotherMachineIsDialledAndBelieved) {
  for (const char* address : {"head.example.com:50052", "[2001:db8::1]:50052"}) {
    const sandbox::Walls walls = WallsOf({}, {address, "/data/worker-server.pem"});
    EXPECT_EQ(walls.files.tcp_port, 50052);
    EXPECT_TRUE(walls.calls.network);
    EXPECT_THAT(walls.files.reads, ElementsAre("/data/worker-server.pem"));
  }
  // A colon in a path is no port's.
  EXPECT_EQ(WallsOf({}, {"unix:/data/a:1/worker.sock", ""}).files.tcp_port, 0);
  EXPECT_THAT(WallsOf({}, {kSocket, ""}).files.reads, IsEmpty());
}

}  // namespace
}  // namespace atelier::worker
