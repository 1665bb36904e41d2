#include "server/objects/object_registry.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "models/files/sha256.h"
#include "server/objects/object_keys.h"
#include "tests/unit/objects/object_test_server.h"

namespace atelier::objects {
namespace {

using store::ReadFile;
using store::WriteFile;
using ::testing::HasSubstr;

struct FakeObserver final : ObjectObserver {
  void Worked(ObjectWork, bool ok, std::int64_t) override { ++(ok ? fetched : failed); }
  void Pending(std::int64_t, std::int64_t) override {}
  void Cached(std::int64_t bytes) override { cached = bytes; }

  int fetched = 0;
  int failed = 0;
  std::int64_t cached = 0;
};

class ObjectRegistryTest : public testing::Test {
 protected:
  ObjectRegistryTest() : s3_(new FakeS3) { Open(); }

  void Open() {
    ObjectRegistry::Options options;
    options.s3 =
        *S3Options::Create("s3://bucket/prefix", {{"s3_endpoint", "http://store"}}, &Credential);
    options.folder = folder_ / "archives";
    options.cache_bytes = 25;
    options.environment = &Credential;
    client_ = std::make_unique<S3Client>(options.s3, s3_, &clock_, &Credential);
    registry_ = std::make_unique<ObjectRegistry>(
        std::move(options), std::unique_ptr<http::Transport>(s3_), &clock_, &observer_);
  }
  // An archive in the store, made by a job of that name.
  v1::ModelVersion Store(const std::string& job, const std::string& bytes) {
    EXPECT_TRUE(client_->PutText(ModelKey(job), bytes, false).ok());
    v1::ModelVersion version;
    version.set_job("jobs/" + job);
    version.set_size_bytes(static_cast<std::int64_t>(bytes.size()));
    version.set_sha256(models::Sha256Of(bytes));
    return version;
  }
  std::string Local(const v1::ModelVersion& version) {
    return ReadFile(registry_->ArchivePath("cnn", version));
  }

  store::TemporaryFolder folder_;
  jobs::FakeClock clock_;
  FakeObserver observer_;
  FakeS3* const s3_;  // The registry's.
  std::unique_ptr<S3Client> client_;
  std::unique_ptr<ObjectRegistry> registry_;
};

TEST_F(ObjectRegistryTest, ReadsTheRegistryWhenItIsAnotherOne) {
  EXPECT_TRUE(absl::IsNotFound(registry_->Read().status()));
  ASSERT_TRUE(client_->PutText(kRegistryKey, "first", false).ok());
  EXPECT_EQ(**registry_->Read(), "first");
  EXPECT_EQ(*registry_->Read(), std::nullopt);
  EXPECT_EQ(s3_->Count("GET prefix/registry.pb"), 1) << "it asks for the ETag alone";
  ASSERT_TRUE(client_->PutText(kRegistryKey, "second", false).ok());
  EXPECT_EQ(**registry_->Read(), "second");
}

TEST_F(ObjectRegistryTest, AReadThatFailsIsMadeGood) {
  ASSERT_TRUE(client_->PutText(kRegistryKey, "first", false).ok());
  s3_->before = [](const std::string& call) -> std::optional<FakeS3::Result> {
    if (absl::StartsWith(call, "GET")) return FakeS3::Error(503, "SlowDown");
    return std::nullopt;
  };
  EXPECT_FALSE(registry_->Read().ok());
  s3_->before = nullptr;
  EXPECT_EQ(**registry_->Read(), "first");
}

TEST_F(ObjectRegistryTest, FetchesAnArchiveOnce) {
  const auto version = Store("one", "an archive");
  ASSERT_TRUE(registry_->Fetch("cnn", version).ok());
  EXPECT_EQ(Local(version), "an archive");
  ASSERT_TRUE(registry_->Fetch("cnn", version).ok());
  EXPECT_EQ(observer_.fetched, 1);
}

TEST_F(ObjectRegistryTest, ADamagedFileIsFetchedAnew) {
  const auto version = Store("one", "an archive");
  WriteFile(registry_->ArchivePath("cnn", version), "an ARCHIVE");
  ASSERT_TRUE(registry_->Fetch("cnn", version).ok());
  EXPECT_EQ(Local(version), "an archive");
}

TEST_F(ObjectRegistryTest, OtherBytesThanWereStoredAreRefused) {
  const auto version = Store("one", "an archive");
  s3_->objects["prefix/one/output/model.tar.gz"] = "an ARCHIVE";
  const absl::Status fetched = registry_->Fetch("cnn", version);
  EXPECT_TRUE(absl::IsUnavailable(fetched));
  EXPECT_THAT(std::string(fetched.message()), HasSubstr("other bytes than were stored"));
  EXPECT_FALSE(std::filesystem::exists(registry_->ArchivePath("cnn", version)));
  EXPECT_EQ(observer_.failed, 1);
}

TEST_F(ObjectRegistryTest, WhatWasUsedLongestAgoGoes) {
  const auto first = Store("one", "archive  1");
  const auto second = Store("two", "archive  2");
  const auto third = Store("three", "archive  3");
  for (const auto& version : {first, second, first, third}) {
    clock_.Advance(absl::Seconds(1));
    ASSERT_TRUE(registry_->Fetch("cnn", version).ok());
  }
  EXPECT_EQ(Local(first), "archive  1");
  EXPECT_EQ(Local(second), "") << "of 25 bytes, three do not fit";
  EXPECT_EQ(Local(third), "archive  3");
  EXPECT_EQ(observer_.cached, 20);
}

TEST_F(ObjectRegistryTest, AnArchiveBeyondTheLimitIsUsable) {
  const auto large = Store("one", "an archive that is larger than all there is room for");
  ASSERT_TRUE(registry_->Fetch("cnn", large).ok());
  EXPECT_NE(Local(large), "");
}

}  // namespace
}  // namespace atelier::objects
