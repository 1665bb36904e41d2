// Folders of attempts on a machine that does not see the server's data directory.
#include "server/worker/node_work.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/worker/own_folder.h"

namespace atelier::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class NodeWorkTest : public ::testing::Test {
 protected:
  NodeWorkTest() {
    std::string pattern = ::testing::TempDir() + "/work-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    root_ = folder_ / "work";
  }
  ~NodeWorkTest() override { fs::remove_all(folder_); }

  static void Put(const fs::path& path, const std::string& content) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
  }

  // A folder with files, without a process.
  fs::path Leave(const std::string& name, bool locked = true) {
    const fs::path left = root_ / name;
    fs::create_directories(left / "attempt");
    fs::permissions(root_, fs::perms::owner_all);
    Put(left / "attempt" / "checkpoint", "state");
    if (locked) Put(left / "lock", "");
    return left;
  }

  fs::path folder_;
  fs::path root_;
};

TEST_F(NodeWorkTest, FoldersOfEndedAttemptsGo) {
  auto work = NodeWork::Create(root_, "job-1");
  ASSERT_TRUE(work.ok()) << work.status();
  const std::string path = (*work)->path();
  Put(path + "/checkpoint", "state");
  const fs::path abandoned = Leave("long-job-0-abcDE1");
  const auto next = NodeWork::Create(root_, "job-2");
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_FALSE(fs::exists(abandoned));
  EXPECT_TRUE(fs::exists(path + "/checkpoint"));
  work->reset();
  EXPECT_FALSE(fs::exists(path));
}

TEST_F(NodeWorkTest, WhatItDidNotMakeStays) {
  const fs::path unlocked = Leave("job-0-abcdef", /*locked=*/false);
  const fs::path named = Leave("results");
  const fs::path dated = Leave("run-2026-november");
  fs::create_directory(root_ / "job-1-abcdef");
  ASSERT_EQ(mkfifo((root_ / "job-1-abcdef" / "lock").c_str(), S_IRUSR | S_IWUSR), 0);
  const fs::path linked = folder_ / "linked";
  fs::create_directory(linked);
  Put(linked / "lock", "");
  fs::create_directory_symlink(linked, root_ / "job-2-abcdef");
  ASSERT_TRUE(NodeWork::Create(root_, "job-3").ok());
  for (const fs::path& kept : {unlocked, named, dated}) {
    EXPECT_TRUE(fs::exists(kept / "attempt" / "checkpoint")) << kept;
  }
  EXPECT_FALSE(fs::exists(unlocked / "lock"));
  EXPECT_TRUE(fs::exists(root_ / "job-1-abcdef" / "lock"));
  EXPECT_TRUE(fs::exists(linked / "lock"));
}

TEST_F(NodeWorkTest, ALinkInItsPlaceIsRefused) {
  const fs::path target = folder_ / "target";
  fs::create_directory(target);
  fs::create_directory_symlink(target, root_);
  const auto refused = NodeWork::Create(root_, "job-1");
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("work is a symbolic link; it"));
  EXPECT_TRUE(fs::is_empty(target));
  EXPECT_TRUE(absl::IsFailedPrecondition(MakeOwnFolder(root_.string() + "/")));
}

TEST_F(NodeWorkTest, FoldersAreForThisUserAlone) {
  const std::string made = folder_ / "above" / "own";
  ASSERT_TRUE(MakeOwnFolder(made).ok());
  EXPECT_EQ(fs::status(made).permissions(), fs::perms::owner_all);
  EXPECT_TRUE(MakeOwnFolder(made + "/").ok());
  fs::permissions(made, fs::perms::owner_all | fs::perms::group_all);
  EXPECT_THAT(std::string(MakeOwnFolder(made).message()), HasSubstr("own has mode 0770; it has"));
  Put(folder_ / "file", "");
  EXPECT_THAT(std::string(MakeOwnFolder(folder_ / "file").message()), HasSubstr("is no folder"));
}

TEST_F(NodeWorkTest, AnotherUsersFolderIsRefused) {
  fs::create_directory(root_);
  if (chown(root_.c_str(), 12345, 12345) != 0) GTEST_SKIP() << "only root gives folders away";
  const absl::Status refused = MakeOwnFolder(root_);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("belongs to UID 12345; it has"));
}

}  // namespace
}  // namespace atelier::worker
