// The data directory and the artifacts in it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "models/files/sha256.h"
#include "server/store/data_directory.h"
#include "server/store/folder_artifact_store.h"
#include "server/store/server_id.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::store {
namespace {

namespace fs = std::filesystem;

TEST(DataDirectoryTest, IsMadeForItsOwnerAlone) {
  TemporaryFolder folder;
  auto data = DataDirectory::Open(folder / "new/data/");
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ((*data)->path(), folder / "new/data");
  EXPECT_EQ((*data)->database_path(), folder / "new/data/atelier.db");
  EXPECT_EQ(fs::status((*data)->path()).permissions(), fs::perms::owner_all);
}

TEST(ServerIdTest, IsDrawnOnceForADirectory) {
  TemporaryFolder folder;
  const auto first = ServerId(folder / "");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->size(), 16u);
  EXPECT_EQ(*ServerId(folder / ""), *first);
  TemporaryFolder other;
  EXPECT_NE(*ServerId(other / ""), *first);
  std::ofstream(folder / "server-id") << "not one";
  EXPECT_NE(ServerId(folder / "").status().message().find("16 hexadecimal digits"),
            std::string::npos);
}

TEST(ServerIdTest, AFileIsSharedUnderAName) {
  TemporaryFolder folder;
  std::ofstream(folder / "certificate") << "PEM";
  const auto copy = ShareFile(folder / "certificate", folder / "", "worker-server.pem");
  ASSERT_TRUE(copy.ok()) << copy.status();
  std::string content;
  std::ifstream(*copy) >> content;
  EXPECT_EQ(content, "PEM");
  // The same content stays the same file, which workers have open to their sight.
  const std::string other_name = folder / "a second name";
  std::filesystem::create_hard_link(*copy, other_name);
  EXPECT_TRUE(ShareFile(folder / "certificate", folder / "", "worker-server.pem").ok());
  EXPECT_TRUE(std::filesystem::equivalent(*copy, other_name));
  std::ofstream(folder / "certificate") << "PEM of the next year";
  EXPECT_TRUE(ShareFile(folder / "certificate", folder / "", "worker-server.pem").ok());
  EXPECT_FALSE(std::filesystem::equivalent(*copy, other_name));
  EXPECT_NE(ShareFile(folder / "none", folder / "", "x").status().message().find("none"),
            std::string::npos);
}

TEST(DataDirectoryTest, SecondServerIsToldWhoseItIs) {
  TemporaryFolder folder;
  auto first = DataDirectory::Open(folder / "data");
  ASSERT_TRUE(first.ok());
  auto second = DataDirectory::Open(folder / "data");
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find(absl::StrCat("process ", getpid())),
            absl::string_view::npos)
      << second.status();
  first->reset();
  EXPECT_TRUE(DataDirectory::Open(folder / "data").ok());
}

TEST(DataDirectoryTest, LockIsNotLeftToProcessesStartedMeanwhile) {
  TemporaryFolder folder;
  auto first = DataDirectory::Open(folder / "data");
  ASSERT_TRUE(first.ok());
  int channel[2];
  ASSERT_EQ(pipe(channel), 0);
  const pid_t child = fork();
  if (child == 0) {
    // `cat` runs until the other end of its standard input is closed.
    dup2(channel[0], STDIN_FILENO);
    close(channel[0]);
    close(channel[1]);
    execlp("cat", "cat", nullptr);
    _exit(127);
  }
  close(channel[0]);
  // Once the child has become another program, its copy of the lock is gone.
  const fs::path program = absl::StrCat("/proc/", child, "/exe");
  std::error_code error;
  while (fs::read_symlink(program, error) == fs::read_symlink("/proc/self/exe")) {
  }
  first->reset();
  EXPECT_TRUE(DataDirectory::Open(folder / "data").ok());
  close(channel[1]);
  waitpid(child, nullptr, 0);
}

TEST(DataDirectoryTest, RefusesAFile) {
  TemporaryFolder folder;
  WriteFile(folder / "file", "x");
  EXPECT_EQ(DataDirectory::Open(folder / "file").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(DataDirectory::Open("").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DataDirectoryTest, RefusesWhatItCannotWriteTo) {
  // /proc refuses new files even to root.
  auto data = DataDirectory::Open("/proc/atelier");
  EXPECT_EQ(data.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(data.status().message().find("/proc/atelier"), absl::string_view::npos);
  EXPECT_EQ(DataDirectory::Open("/proc").status().code(), absl::StatusCode::kPermissionDenied);
}

class FolderArtifactStoreTest : public testing::Test {
 protected:
  FolderArtifactStoreTest() {
    WriteFile(artifacts_.AttemptDir("job", 2) + "/model.tar.gz", "archive");
    WriteFile(artifacts_.AttemptDir("job", 2) + "/worker.log", "log");
    WriteFile(artifacts_.AttemptDir("job", 1) + "/checkpoints/1.ckpt", "weights");
    WriteFile(artifacts_.AttemptDir("job", 1) + "/worker.log", "log");
  }
  jobs::Publication Archive() {
    return {.job_id = "job",
            .attempt = 2,
            .archive = "model.tar.gz",
            .size_bytes = 7,
            .name = "cnn-3",
            .version = 4};
  }

  TemporaryFolder folder_;
  FolderArtifactStore artifacts_{folder_.path().string()};
};

TEST_F(FolderArtifactStoreTest, PathsAreTheDocumentedOnes) {
  EXPECT_EQ(artifacts_.AttemptDir("job", 2), folder_ / "jobs/job/attempts/2");
  EXPECT_EQ(artifacts_.LogPath("job", 2), folder_ / "jobs/job/attempts/2/worker.log");
  EXPECT_EQ(artifacts_.ArchivePath("cnn-3", 4), folder_ / "models/cnn-3/4/model.tar.gz");
}

TEST_F(FolderArtifactStoreTest, PublishesACopyAsOftenAsAsked) {
  ASSERT_TRUE(artifacts_.Publish(Archive()).ok());
  EXPECT_EQ(ReadFile(artifacts_.ArchivePath("cnn-3", 4)), "archive");
  WriteFile(artifacts_.AttemptDir("job", 2) + "/model.tar.gz", "changed");
  EXPECT_EQ(ReadFile(artifacts_.ArchivePath("cnn-3", 4)), "archive");
  ASSERT_TRUE(artifacts_.Publish(Archive()).ok());
  EXPECT_EQ(ReadFile(artifacts_.ArchivePath("cnn-3", 4)), "changed");
  // Nothing half written lies beside it.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "models/cnn-3/4"), {}), 1);
}

TEST_F(FolderArtifactStoreTest, ArchiveOfAnotherSizeIsNotPublished) {
  jobs::Publication publication = Archive();
  publication.size_bytes = 8;
  EXPECT_EQ(artifacts_.Publish(publication).code(), absl::StatusCode::kDataLoss);
  EXPECT_FALSE(fs::exists(artifacts_.ArchivePath("cnn-3", 4)));
}

TEST_F(FolderArtifactStoreTest, MissingArchiveIsNotFound) {
  jobs::Publication publication = Archive();
  publication.archive = "other.tar.gz";
  EXPECT_EQ(artifacts_.Publish(publication).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(folder_ / "models/cnn-3/4"));
}

TEST_F(FolderArtifactStoreTest, ArchiveMustLieInTheAttemptsFolder) {
  for (const char* path : {"", "/etc/passwd", "../1/worker.log", "a/../../x", ".."}) {
    jobs::Publication publication = Archive();
    publication.archive = path;
    EXPECT_EQ(artifacts_.Publish(publication).code(), absl::StatusCode::kInvalidArgument) << path;
  }
  fs::create_symlink("/etc/passwd", artifacts_.AttemptDir("job", 2) + "/link");
  jobs::Publication publication = Archive();
  publication.archive = "link";
  EXPECT_FALSE(artifacts_.Publish(publication).ok());
}

TEST_F(FolderArtifactStoreTest, MovesADatasetToItsPlaceOnce) {
  WriteFile(artifacts_.AttemptDir("job", 2) + "/packed", "images");
  const jobs::Publication publication = {.job_id = "job",
                                         .attempt = 2,
                                         .archive = "packed",
                                         .size_bytes = 6,
                                         .kind = jobs::Publication::Kind::kDataset,
                                         .name = "digits",
                                         .version = 3};
  ASSERT_TRUE(artifacts_.Publish(publication).ok());
  EXPECT_EQ(artifacts_.DatasetPath("digits", 3), folder_ / "datasets/digits/3/packed.dataset");
  EXPECT_EQ(ReadFile(artifacts_.DatasetPath("digits", 3)), "images");
  EXPECT_FALSE(fs::exists(artifacts_.AttemptDir("job", 2) + "/packed"));
  // As after a server that ended before it had registered the version.
  ASSERT_TRUE(artifacts_.Publish(publication).ok());
  EXPECT_EQ(ReadFile(artifacts_.DatasetPath("digits", 3)), "images");
}

TEST_F(FolderArtifactStoreTest, RemovesDatasetsThatNobodyKnows) {
  for (const int version : {1, 2}) WriteFile(artifacts_.DatasetPath("digits", version), "images");
  WriteFile(artifacts_.DatasetPath("letters", 1), "images");
  ASSERT_TRUE(artifacts_.RemoveDatasetsBut({{"digits", 2}}).ok());
  EXPECT_TRUE(fs::exists(artifacts_.DatasetPath("digits", 2)));
  EXPECT_FALSE(fs::exists(artifacts_.DatasetPath("digits", 1)));
  EXPECT_FALSE(fs::exists(artifacts_.DatasetPath("letters", 1)));
  ASSERT_TRUE(artifacts_.RemoveDataset("digits", 2).ok());
  EXPECT_FALSE(fs::exists(folder_ / "datasets/digits"));
}

TEST_F(FolderArtifactStoreTest, FreeingLeavesTheLogsAlone) {
  ASSERT_TRUE(artifacts_.FreeJob("job").ok());
  EXPECT_FALSE(fs::exists(artifacts_.AttemptDir("job", 1) + "/checkpoints"));
  EXPECT_FALSE(fs::exists(artifacts_.AttemptDir("job", 2) + "/model.tar.gz"));
  EXPECT_EQ(ReadFile(artifacts_.LogPath("job", 1)), "log");
  EXPECT_EQ(ReadFile(artifacts_.LogPath("job", 2)), "log");
  EXPECT_TRUE(artifacts_.FreeJob("job").ok());
  EXPECT_TRUE(artifacts_.FreeJob("none").ok());
}

TEST_F(FolderArtifactStoreTest, FreesEarlierAttemptsAlone) {
  ASSERT_TRUE(artifacts_.FreeAttemptsBefore("job", 2).ok());
  EXPECT_FALSE(fs::exists(artifacts_.AttemptDir("job", 1) + "/checkpoints"));
  EXPECT_EQ(ReadFile(artifacts_.LogPath("job", 1)), "log");
  EXPECT_TRUE(fs::exists(artifacts_.AttemptDir("job", 2) + "/model.tar.gz"));
}

TEST_F(FolderArtifactStoreTest, MakesAnAttemptsFolder) {
  ASSERT_TRUE(artifacts_.MakeAttemptDir("new-job", 3).ok());
  EXPECT_TRUE(fs::is_directory(artifacts_.AttemptDir("new-job", 3)));
  EXPECT_TRUE(artifacts_.MakeAttemptDir("new-job", 3).ok());
}

TEST_F(FolderArtifactStoreTest, RemovesAJobButNotItsModel) {
  ASSERT_TRUE(artifacts_.Publish(Archive()).ok());
  ASSERT_TRUE(artifacts_.RemoveJob("job").ok());
  EXPECT_FALSE(fs::exists(folder_ / "jobs/job"));
  EXPECT_TRUE(fs::exists(artifacts_.ArchivePath("cnn-3", 4)));
  EXPECT_TRUE(artifacts_.RemoveJob("job").ok());
  ASSERT_TRUE(artifacts_.RemoveVersion("cnn-3", 4).ok());
  EXPECT_FALSE(fs::exists(folder_ / "models/cnn-3/4"));
  EXPECT_TRUE(artifacts_.RemoveVersion("cnn-3", 4).ok());
}

TEST_F(FolderArtifactStoreTest, KeepsTheLastCheckpointOfAJob) {
  WriteFile(artifacts_.AttemptDir("job", 1) + "/checkpoint-900.ckpt", "older");
  WriteFile(artifacts_.AttemptDir("job", 2) + "/checkpoint-1000.ckpt", "last");
  EXPECT_TRUE(artifacts_.HasCheckpoint("job"));
  ASSERT_TRUE(artifacts_.FreeJob("job").ok());
  EXPECT_TRUE(artifacts_.HasCheckpoint("job"));
  EXPECT_EQ(ReadFile(folder_ / "checkpoints/job/checkpoint-1000.ckpt"), "last");
  EXPECT_FALSE(fs::exists(artifacts_.AttemptDir("job", 1) + "/checkpoint-900.ckpt"));
  ASSERT_TRUE(artifacts_.RemoveJob("job").ok());
  EXPECT_FALSE(artifacts_.HasCheckpoint("job"));
}

TEST_F(FolderArtifactStoreTest, KeepsTheCheckpointsOfTheNewestJobs) {
  FolderArtifactStore store(folder_.path().string(), /*kept_checkpoints=*/2);
  int hours = 0;
  for (const char* job : {"one", "two", "three"}) {
    WriteFile(store.AttemptDir(job, 1) + "/checkpoint-1.ckpt", job);
    ASSERT_TRUE(store.FreeJob(job).ok());
    // Not by how fine the file system's clock is.
    fs::last_write_time(folder_.path() / "checkpoints" / job,
                        fs::file_time_type::clock::now() - std::chrono::hours(9 - ++hours));
  }
  WriteFile(store.AttemptDir("four", 1) + "/checkpoint-1.ckpt", "four");
  ASSERT_TRUE(store.FreeJob("four").ok());
  EXPECT_FALSE(store.HasCheckpoint("one"));
  EXPECT_FALSE(store.HasCheckpoint("two"));
  EXPECT_TRUE(store.HasCheckpoint("three"));
  EXPECT_TRUE(store.HasCheckpoint("four"));
  FolderArtifactStore none(folder_.path().string(), /*kept_checkpoints=*/0);
  WriteFile(none.AttemptDir("five", 1) + "/checkpoint-1.ckpt", "five");
  ASSERT_TRUE(none.FreeJob("five").ok());
  EXPECT_FALSE(none.HasCheckpoint("five"));
  EXPECT_FALSE(none.HasCheckpoint("four")) << "kept by an earlier server";
}

TEST_F(FolderArtifactStoreTest, HandsACheckpointToANewJob) {
  EXPECT_EQ(artifacts_.HandCheckpoint("job", "new").code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(fs::exists(folder_ / "jobs/new"));
  // Before and after the ended job's files are freed.
  WriteFile(artifacts_.AttemptDir("job", 2) + "/checkpoint-1000.ckpt", "last");
  ASSERT_TRUE(artifacts_.HandCheckpoint("job", "early").ok());
  ASSERT_TRUE(artifacts_.FreeJob("job").ok());
  ASSERT_TRUE(artifacts_.HandCheckpoint("job", "new").ok());
  ASSERT_TRUE(artifacts_.RemoveJob("job").ok());
  EXPECT_EQ(ReadFile(artifacts_.AttemptDir("early", 0) + "/checkpoint-1000.ckpt"), "last");
  EXPECT_EQ(ReadFile(artifacts_.AttemptDir("new", 0) + "/checkpoint-1000.ckpt"), "last");
  ASSERT_TRUE(artifacts_.FreeAttemptsBefore("new", 1).ok());
  EXPECT_FALSE(fs::exists(artifacts_.AttemptDir("new", 0) + "/checkpoint-1000.ckpt"));
}

TEST_F(FolderArtifactStoreTest, HandsNothingToAJobThatHasFiles) {
  WriteFile(artifacts_.AttemptDir("job", 2) + "/checkpoint-1000.ckpt", "last");
  EXPECT_EQ(artifacts_.HandCheckpoint("job", "job").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReadFile(artifacts_.LogPath("job", 2)), "log");
}

TEST_F(FolderArtifactStoreTest, ChecksAnArchive) {
  ASSERT_TRUE(artifacts_.Publish(Archive()).ok());
  const std::string sum = models::Sha256Of("archive");
  EXPECT_TRUE(artifacts_.CheckArchive("cnn-3", 4, 7, sum).ok());
  EXPECT_EQ(artifacts_.CheckArchive("cnn-3", 4, 6, sum).code(), absl::StatusCode::kDataLoss);
  WriteFile(artifacts_.ArchivePath("cnn-3", 4), "Archive");
  EXPECT_EQ(artifacts_.CheckArchive("cnn-3", 4, 7, sum).code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(artifacts_.CheckArchive("cnn-3", 5, 7, sum).code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace atelier::store
