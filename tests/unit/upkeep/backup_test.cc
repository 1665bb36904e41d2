// Backups and what is restored of them.
#include "server/upkeep/backup.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "models/files/tar_header.h"
#include "server/jobs/error.h"
#include "server/upkeep/backup_format.h"
#include "server/upkeep/restore.h"
#include "tests/unit/upkeep/data_directory_fixture.h"

namespace atelier::upkeep {
namespace {

using ::testing::HasSubstr;

class BackupTest : public DataDirectoryTest {
 protected:
  std::unique_ptr<Backup> Begin() {
    auto backup = Backup::Begin(data_dir_, store_.get());
    EXPECT_TRUE(backup.ok()) << backup.status();
    return backup.ok() ? *std::move(backup) : nullptr;
  }

  // The rest of a backup.
  std::string Drain(Backup* backup) {
    std::string archive;
    while (true) {
      const auto piece = backup->Next();
      EXPECT_TRUE(piece.ok()) << piece.status();
      if (!piece.ok()) return archive;
      archive += piece->bytes;
      EXPECT_LT(piece->bytes.size(), 1 << 20);
      if (piece->sha256.empty()) continue;
      EXPECT_EQ(piece->sha256, models::Sha256Of(archive));
      return archive;
    }
  }

  absl::Status RestoreBytes(const std::string& archive) {
    store::WriteFile(folder_ / "backup.tar", archive);
    return Restore(folder_ / "backup.tar", restored_).status();
  }

  // An archive of such a file between what begins and ends a backup.
  static std::string ArchiveOf(const std::string& header, const std::string& name,
                               const std::string& content) {
    const auto entry = [](const std::string& own, const std::string& bytes) {
      return own + bytes +
             std::string(static_cast<std::size_t>(
                             models::TarPadding(static_cast<std::int64_t>(bytes.size()))),
                         '\0');
    };
    const auto file = [&](const std::string& path, const std::string& bytes) {
      return entry(models::TarHeader(path, static_cast<std::int64_t>(bytes.size())), bytes);
    };
    BackupDigest digest;
    digest.Begin(name);
    digest.Add(content.data(), content.size());
    return file(kBackupBegin, kBackupFormat) + entry(header, content) +
           file(kBackupEnd, digest.Finish()) + models::TarEnd();
  }

  const std::string restored_ = folder_ / "restored";
};

TEST_F(BackupTest, WhatIsRestoredIsWhatWasBackedUp) {
  const std::string archive = Drain(Begin().get());
  EXPECT_FALSE(Exists("backup"));
  ASSERT_TRUE(RestoreBytes(archive).ok());
  const auto [sound, report] = CheckIn(restored_);
  EXPECT_TRUE(sound) << report;
  for (const char* path : {"/models/model/1/model.tar.gz", "/jobs/job/attempts/1/worker.log",
                           "/jobs/job/attempts/1/checkpoint-7.ckpt"}) {
    EXPECT_EQ(store::ReadFile(restored_ + path), Read(path));
  }
}

TEST_F(BackupTest, WhatIsDeletedAndWrittenMeanwhileChangesNothing) {
  const auto backup = Begin();
  ASSERT_TRUE(store_->DeleteModel("model", true).ok());
  std::filesystem::remove_all(data_dir_ + "/models/model");
  ASSERT_TRUE(store_->Insert(store::MakeRecord("later"), {}).ok());
  ASSERT_TRUE(RestoreBytes(Drain(backup.get())).ok());
  const auto [sound, report] = CheckIn(restored_);
  EXPECT_TRUE(sound) << report;
  EXPECT_THAT(report, HasSubstr("models: 1 versions sound"));
  const auto store = *store::SqliteStore::Open(restored_ + "/atelier.db");
  EXPECT_TRUE(absl::IsNotFound(store->Load("later").status()));
}

TEST_F(BackupTest, WorkersBelongToTheFirstServerAlone) {
  ASSERT_TRUE(RestoreBytes(Drain(Begin().get())).ok());
  const auto store = *store::SqliteStore::Open(restored_ + "/atelier.db");
  const auto job = store->Load("job");
  ASSERT_TRUE(job.ok());
  EXPECT_EQ(job->handle, "");
  EXPECT_NE(job->token, "secret");
  EXPECT_EQ(job->token.size(), 32u);
  EXPECT_EQ(store_->Load("job")->handle, "process 7");
}

TEST_F(BackupTest, ThereIsOneAtATimeAndOneThatIsGivenUpLeavesNothing) {
  auto backup = Begin();
  ASSERT_TRUE(backup->Next().ok());
  EXPECT_EQ(jobs::ReasonOf(Backup::Begin(data_dir_, store_.get()).status()), "BACKUP_RUNNING");
  backup.reset();
  EXPECT_FALSE(Exists("backup"));
  EXPECT_NE(Begin(), nullptr);
}

TEST_F(BackupTest, WhatAServerTidiesIsNotInIt) {
  Write("cache/datasets/x", "x");
  Write("server-id", "0123456789abcdef");
  Write("models/model/2/model.tar.gz.part", "half");
  Write("jobs/job/attempts/1/archive.tmp", "half");
  Write("uploads/nonsense/content", "x");
  const std::string archive = Drain(Begin().get());
  for (const char* name : {"cache", "server-id", ".part", "archive.tmp", "nonsense"}) {
    EXPECT_FALSE(absl::StrContains(archive, name)) << name;
  }
}

TEST_F(BackupTest, LinksAreNotFollowed) {
  store::WriteFile(folder_ / "secret", "not yours");
  ASSERT_EQ(symlink((folder_ / "secret").c_str(),
                    (data_dir_ + "/jobs/job/attempts/1/checkpoint-9.ckpt").c_str()),
            0);
  EXPECT_FALSE(absl::StrContains(Drain(Begin().get()), "not yours"));
}

TEST_F(BackupTest, ALogThatGrowsIsInItAsItWasFound) {
  const auto backup = Begin();
  Write("jobs/job/attempts/1/worker.log", "a log\nthat grew\n");
  EXPECT_TRUE(RestoreBytes(Drain(backup.get())).ok());
}

TEST_F(BackupTest, EveryCutIsNoticed) {
  const std::string archive = Drain(Begin().get());
  // Up to the last file, which has one block.
  const std::size_t whole = archive.size() - models::TarEnd().size() - 512;
  for (std::size_t size = 0; size < whole; size += 4999) {
    const absl::Status refused = RestoreBytes(archive.substr(0, size));
    EXPECT_TRUE(absl::IsDataLoss(refused)) << size << " " << refused;
    EXPECT_FALSE(std::filesystem::exists(restored_ + "/restoring"));
    EXPECT_FALSE(std::filesystem::exists(restored_ + "/models"));
  }
}

TEST_F(BackupTest, EveryFlippedBitIsNoticed) {
  const std::string archive = Drain(Begin().get());
  const std::size_t whole = archive.size() - models::TarEnd().size();
  // The first header's times and owners say nothing.
  for (std::size_t at = 1024; at < whole; at += 9973) {
    std::string changed = archive;
    changed[at] ^= 1;
    const absl::Status refused = RestoreBytes(changed);
    if (!refused.ok()) continue;
    // A zero byte after a file's end belongs to nothing.
    EXPECT_EQ(archive[at], '\0') << at;
    std::filesystem::remove_all(restored_);
  }
}

TEST_F(BackupTest, PathsOutOfTheDirectoryAreRefused) {
  for (const char* name :
       {"../outside", "models/../../outside", "/outside", "unknown/file", "atelierd.lock", "models",
        "atelier.db/x", "models//../../outside", "a/b", "restoring/x", "server-id"}) {
    const absl::Status refused = RestoreBytes(ArchiveOf(models::TarHeader(name, 1), name, "x"));
    EXPECT_TRUE(absl::IsDataLoss(refused)) << name << " " << refused;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("none of a backup's files")) << name;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "outside"));
  }
}

TEST_F(BackupTest, AnArchiveWithoutADatabaseIsRefused) {
  const absl::Status refused =
      RestoreBytes(ArchiveOf(models::TarHeader("models/x", 1), "models/x", "x"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("has no database"));
}

TEST_F(BackupTest, ADirectoryWithFilesIsNotRestoredInto) {
  const std::string archive = Drain(Begin().get());
  store::WriteFile(restored_ + "/mine", "mine");
  const absl::Status refused = RestoreBytes(archive);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_EQ(store::ReadFile(restored_ + "/mine"), "mine");
}

TEST_F(BackupTest, AnInterruptedRestoreKeepsServersOffAndIsBegunAnew) {
  const std::string archive = Drain(Begin().get());
  // As a kill between two moves leaves it.
  store::WriteFile(restored_ + "/models/half/1/model.tar.gz", "x");
  store::WriteFile(restored_ + "/restoring/atelier.db", "x");
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckRestored(restored_)));
  ASSERT_TRUE(RestoreBytes(archive).ok());
  EXPECT_TRUE(CheckRestored(restored_).ok());
  EXPECT_FALSE(std::filesystem::exists(restored_ + "/models/half"));
  EXPECT_TRUE(CheckIn(restored_).first);
}

}  // namespace
}  // namespace atelier::upkeep
