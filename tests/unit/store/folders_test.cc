// The data directory and the artifacts in it.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "server/store/data_directory.h"
#include "server/store/folder_artifact_store.h"
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
            .model = "cnn-3",
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

}  // namespace
}  // namespace atelier::store
