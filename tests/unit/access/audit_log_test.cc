#include "server/access/audit_log.h"

#include <atomic>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/error.h"
#include "tests/unit/store/temporary_folder.h"

namespace atelier::access {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Losses final : public AccessObserver {
 public:
  void Refused(absl::string_view) override {}
  void FileRead(bool) override {}
  void AuditEntriesLost(std::size_t count) override { lost += count; }
  std::atomic<std::size_t> lost = 0;
};

class AuditLogTest : public testing::Test {
 protected:
  void Open(std::int64_t file_bytes = 8 << 20, int files = 8) {
    log_.reset();
    auto opened = AuditLog::Open(
        {.files = {.folder = folder_ / "audit", .file_bytes = file_bytes, .files = files},
         .observer = &losses_,
         .log = [this](const std::string& sentence) { said_.push_back(sentence); }});
    ASSERT_TRUE(opened.ok()) << opened.status();
    log_ = *std::move(opened);
  }
  void Add(const std::string& caller, const std::string& resource) {
    v1::AuditEntry entry;
    entry.set_caller(caller);
    entry.set_resource(resource);
    log_->Add(entry);
  }
  // The resources of all entries, by pages.
  std::vector<std::string> All(v1::ListAuditEntriesRequest request = {}) {
    std::vector<std::string> resources;
    do {
      const auto page = log_->List(request);
      EXPECT_TRUE(page.ok()) << page.status();
      for (const v1::AuditEntry& entry : page->entries()) {
        resources.push_back(entry.resource().empty() ? entry.message() : entry.resource());
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return resources;
  }
  std::size_t Files() const {
    const std::filesystem::directory_iterator files(folder_ / "audit");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
  }

  store::TemporaryFolder folder_;
  Losses losses_;
  std::vector<std::string> said_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditLogTest, ListsTheNewestFirstAcrossRestarts) {
  Open();
  EXPECT_THAT(All(), ElementsAre());
  Add("alice", "jobs/a");
  Add("bob", "jobs/b");
  EXPECT_THAT(All(), ElementsAre("jobs/b", "jobs/a"));
  Open();
  Add("alice", "jobs/c");
  EXPECT_THAT(All(), ElementsAre("jobs/c", "jobs/b", "jobs/a"));
  EXPECT_EQ(Files(), 1U);
}

TEST_F(AuditLogTest, FindsByCallerAndResource) {
  Open();
  Add("alice", "jobs/a");
  Add("bob", "jobs/b");
  Add("alice", "models/a");
  v1::ListAuditEntriesRequest request;
  request.set_caller("alice");
  EXPECT_THAT(All(request), ElementsAre("models/a", "jobs/a"));
  request.set_resource("jobs/");
  EXPECT_THAT(All(request), ElementsAre("jobs/a"));
}

TEST_F(AuditLogTest, PagesFollowOneAnotherWhileTheLogGoesOn) {
  Open(/*file_bytes=*/200, /*files=*/100);
  for (int i = 0; i < 20; ++i) {
    Add("a", absl::StrCat("jobs/", i));
    All();  // What waits together is written together, also beyond a file's size.
  }
  v1::ListAuditEntriesRequest request;
  request.set_page_size(3);
  const std::vector<std::string> all = All(request);
  ASSERT_EQ(all.size(), 20U);
  for (int i = 0; i < 20; ++i)
    EXPECT_EQ(all[static_cast<std::size_t>(i)], absl::StrCat("jobs/", 19 - i));
  EXPECT_GT(Files(), 3U);

  const auto first = log_->List(request);
  Add("a", "jobs/new");
  request.set_page_token(first->next_page_token());
  const auto second = log_->List(request);
  for (const v1::AuditEntry& entry : second->entries()) EXPECT_NE(entry.resource(), "jobs/new");
}

TEST_F(AuditLogTest, TheOldestMakeRoom) {
  Open(/*file_bytes=*/1000, /*files=*/3);
  for (int i = 0; i < 500; ++i) {
    Add("a", absl::StrCat("jobs/", i));
    if (i % 10 == 0) All();
  }
  const std::vector<std::string> kept = All();
  EXPECT_LT(kept.size(), 200U);
  EXPECT_EQ(kept.front(), "jobs/499");
  EXPECT_EQ(Files(), 3U);
}

TEST_F(AuditLogTest, ALineThatACrashCutIsLeftOut) {
  Open();
  Add("a", "jobs/a");
  All();
  log_.reset();
  const std::string file = folder_ / "audit/00000001.jsonl";
  store::WriteFile(file, store::ReadFile(file) + R"({"caller":"a","resour)");
  Open();
  Add("a", "jobs/b");
  EXPECT_THAT(All(), ElementsAre("jobs/b", "jobs/a"));
}

TEST_F(AuditLogTest, WhatCannotBeWrittenIsCountedAndSaidOnce) {
  Open(/*file_bytes=*/1, /*files=*/3);
  Add("a", "jobs/a");
  All();
  std::filesystem::remove_all(folder_ / "audit");
  store::WriteFile(folder_ / "audit", "no folder");
  for (int i = 0; i < 3; ++i) {
    Add("a", "jobs/b");
    log_->List({}).IgnoreError();
  }
  EXPECT_EQ(losses_.lost, 3U);
  EXPECT_THAT(said_, ElementsAre(HasSubstr("cannot be written")));
}

TEST_F(AuditLogTest, RefusesWrongPages) {
  Open();
  v1::ListAuditEntriesRequest request;
  request.set_page_size(1001);
  EXPECT_TRUE(absl::IsInvalidArgument(log_->List(request).status()));
  request.set_page_size(1);
  request.set_page_token("nonsense");
  EXPECT_TRUE(absl::IsInvalidArgument(log_->List(request).status()));
}

TEST_F(AuditLogTest, WithoutAFolderItDoesNotOpen) {
  store::WriteFile(folder_ / "file", "");
  const auto opened = AuditLog::Open({.files = {.folder = folder_ / "file/audit"}});
  EXPECT_TRUE(absl::IsUnavailable(opened.status()));
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr("file/audit cannot be made"));
}

}  // namespace
}  // namespace atelier::access
