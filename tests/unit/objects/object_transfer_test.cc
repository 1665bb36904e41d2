#include "server/objects/object_transfer.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "tests/unit/objects/object_test_server.h"

namespace atelier::objects {
namespace {

using store::ReadFile;
using store::WriteFile;

// Three parts, none like another.
const std::string& Large() {
  static const std::string bytes = [] {
    std::string drawn(std::size_t{33} << 20, '\0');
    std::uint32_t state = 1;
    for (char& byte : drawn) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return drawn;
  }();
  return bytes;
}

class ObjectTransferTest : public ObjectTest {
 protected:
  absl::StatusOr<jobs::ObjectRecord> Upload(const jobs::ObjectRecord& record) {
    return transfer_.Upload(record, folder_ / record.path, [this](const std::string& upload) {
      upload_ = upload;
      return absl::OkStatus();
    });
  }
  absl::Status Fetch(const jobs::ObjectRecord& record) {
    std::filesystem::remove(folder_ / record.path);
    return transfer_.Fetch(record, folder_ / record.path);
  }

  ObjectTransfer transfer_{&client_};
  std::string upload_;
};

TEST_F(ObjectTransferTest, SmallFileGoesThereAndComesBack) {
  const auto stored = Upload(Add(kPath, "archive"));
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(Stored(kPath), "archive");
  EXPECT_EQ(stored->digests, Sha256("archive"));
  ASSERT_TRUE(Fetch(*stored).ok());
  EXPECT_EQ(ReadFile(folder_ / kPath), "archive");
  EXPECT_FALSE(std::filesystem::exists(folder_ / (std::string(kPath) + ".fetch")));
}

TEST_F(ObjectTransferTest, EmptyFileGoesThereAndComesBack) {
  const auto stored = Upload(Add("jobs/j/attempts/1/worker.log", ""));
  ASSERT_TRUE(stored.ok()) << stored.status();
  ASSERT_TRUE(Fetch(*stored).ok());
  EXPECT_TRUE(std::filesystem::exists(folder_ / stored->path));
}

TEST_F(ObjectTransferTest, LargeFileGoesInPartsAndComesBack) {
  const std::string& large = Large();
  const auto stored = Upload(Add(kPath, large));
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->digests.size(), 3 * kSha256Bytes);
  EXPECT_TRUE(Stored(kPath) == large);
  EXPECT_TRUE(s3_.uploads.empty());
  ASSERT_TRUE(Fetch(*stored).ok());
  EXPECT_TRUE(ReadFile(folder_ / kPath) == large);
}

TEST_F(ObjectTransferTest, UploadGoesOnWhereItWasInterrupted) {
  const std::string& large = Large();
  jobs::ObjectRecord record = Add(kPath, large);
  s3_.before = [](const std::string& call) -> std::optional<FakeS3::Result> {
    if (!absl::StrContains(call, "partNumber=3")) return std::nullopt;
    return absl::UnavailableError("the connection broke");
  };
  EXPECT_TRUE(absl::IsUnavailable(Upload(record).status()));
  ASSERT_FALSE(upload_.empty());
  record.upload = upload_;
  s3_.before = nullptr;
  s3_.calls.clear();
  ASSERT_TRUE(Upload(record).ok());
  EXPECT_TRUE(Stored(kPath) == large);
  EXPECT_EQ(s3_.Count("PUT"), 1);
}

TEST_F(ObjectTransferTest, PartsTravelAtOnce) {
  absl::Mutex mutex;
  int there = 0;
  // Each waits for another: alone, none would go on before the time is over.
  s3_.arriving = [&](const std::string& call) {
    if (!absl::StrContains(call, "partNumber=") && !absl::StartsWith(call, "GET")) return;
    absl::MutexLock lock(&mutex);
    ++there;
    const auto met = [&] { return there >= 2; };
    EXPECT_TRUE(mutex.AwaitWithTimeout(absl::Condition(&met), absl::Seconds(20))) << call;
  };
  const auto stored = Upload(Add(kPath, Large()));
  ASSERT_TRUE(stored.ok()) << stored.status();
  there = 0;
  ASSERT_TRUE(Fetch(*stored).ok());
  EXPECT_TRUE(ReadFile(folder_ / kPath) == Large());
}

TEST_F(ObjectTransferTest, PartsOfAnotherFileAreSentAgain) {
  jobs::ObjectRecord record = Add(kPath, Large());
  s3_.uploads["upload=1"][1] = "something else";
  record.upload = "upload=1";
  ASSERT_TRUE(Upload(record).ok());
  EXPECT_TRUE(Stored(kPath) == Large());
}

TEST_F(ObjectTransferTest, AForgottenUploadIsBegunAnew) {
  jobs::ObjectRecord record = Add(kPath, Large());
  record.upload = "upload=7";
  ASSERT_TRUE(Upload(record).ok());
  EXPECT_TRUE(Stored(kPath) == Large());
}

TEST_F(ObjectTransferTest, ALostAnswerToTheEndIsNoFailure) {
  jobs::ObjectRecord record = Add(kPath, Large());
  bool lost = false;
  s3_.after = [&](const std::string& call, http::Answer* answer) {
    if (lost || !absl::StartsWith(call, "POST") || absl::StrContains(call, "uploads=")) return;
    lost = true;
    *answer = FakeS3::Error(500, "InternalError");
  };
  EXPECT_TRUE(absl::IsUnavailable(Upload(record).status()));
  record.upload = upload_;
  const auto stored = Upload(record);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_TRUE(Stored(kPath) == Large());
}

TEST_F(ObjectTransferTest, AnErrorAfterThe200OfTheEndIsOne) {
  s3_.before = [](const std::string& call) -> std::optional<FakeS3::Result> {
    if (!absl::StartsWith(call, "POST") || absl::StrContains(call, "uploads=")) return std::nullopt;
    return FakeS3::Error(200, "InternalError");
  };
  EXPECT_TRUE(absl::IsUnavailable(Upload(Add(kPath, Large())).status()));
}

TEST_F(ObjectTransferTest, AStoreThatLostBytesIsNotBelieved) {
  s3_.after = [this](const std::string& call, http::Answer*) {
    if (absl::StartsWith(call, "PUT")) s3_.objects["prefix/k/" + std::string(kPath)] = "archiv";
  };
  EXPECT_TRUE(absl::IsDataLoss(Upload(Add(kPath, "archive")).status()));
}

TEST_F(ObjectTransferTest, WithoutAnMd5EverythingIsReadBack) {
  s3_.opaque_etags = true;
  ASSERT_TRUE(Upload(Add(kPath, "archive")).ok());
  EXPECT_EQ(s3_.Count("GET"), 1);
  s3_.after = [this](const std::string& call, http::Answer*) {
    if (absl::StartsWith(call, "PUT")) s3_.objects["prefix/k/" + std::string(kPath)] = "Archive";
  };
  EXPECT_TRUE(absl::IsDataLoss(Upload(Add(kPath, "archive")).status()));
}

TEST_F(ObjectTransferTest, DamagedBytesAreAskedForAgainAndNeverShown) {
  const auto stored = Upload(Add(kPath, "archive"));
  int damaged = 1;
  s3_.after = [&](const std::string&, http::Answer* answer) {
    if (damaged-- > 0) answer->body[0] ^= 1;
  };
  ASSERT_TRUE(Fetch(*stored).ok());
  EXPECT_EQ(ReadFile(folder_ / kPath), "archive");
  damaged = 10;
  EXPECT_TRUE(absl::IsDataLoss(Fetch(*stored)));
  EXPECT_FALSE(std::filesystem::exists(folder_ / kPath));
}

TEST_F(ObjectTransferTest, AnAnswerOfAnotherLengthIsRefused) {
  const auto stored = Upload(Add(kPath, "archive"));
  s3_.after = [&](const std::string&, http::Answer* answer) { answer->body = "archi"; };
  const absl::Status status = Fetch(*stored);
  EXPECT_TRUE(absl::IsDataLoss(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "5 bytes where 7")) << status;
}

TEST_F(ObjectTransferTest, FetchGoesOnWhereItWasInterrupted) {
  const std::string& large = Large();
  const auto stored = Upload(Add(kPath, large));
  int calls = 0;
  s3_.before = [&](const std::string&) -> std::optional<FakeS3::Result> {
    if (++calls < 3) return std::nullopt;
    return absl::UnavailableError("the connection broke");
  };
  EXPECT_TRUE(absl::IsUnavailable(Fetch(*stored)));
  s3_.before = nullptr;
  s3_.calls.clear();
  ASSERT_TRUE(Fetch(*stored).ok());
  EXPECT_TRUE(ReadFile(folder_ / kPath) == large);
  EXPECT_EQ(s3_.Count("GET"), 1);
}

TEST_F(ObjectTransferTest, WhatLiesInThePlaceOfAFetchIsNotBelieved) {
  const auto stored = Upload(Add(kPath, "archive"));
  WriteFile(folder_ / (std::string(kPath) + ".fetch"), "something longer than that");
  ASSERT_TRUE(Fetch(*stored).ok());
  EXPECT_EQ(ReadFile(folder_ / kPath), "archive");
}

TEST_F(ObjectTransferTest, RemovesTheObjectAndItsUpload) {
  jobs::ObjectRecord record = *Upload(Add(kPath, "archive"));
  s3_.uploads["upload=9"];
  record.upload = "upload=9";
  ASSERT_TRUE(transfer_.Remove(record).ok());
  EXPECT_TRUE(s3_.objects.empty());
  EXPECT_TRUE(s3_.uploads.empty());
  EXPECT_TRUE(transfer_.Remove(record).ok());
}

TEST_F(ObjectTransferTest, AMissingFileIsNotTakenForAMissingStore) {
  jobs::ObjectRecord record;
  record.path = record.key = "models/none";
  const absl::Status status = Upload(record).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
}

TEST(PartBytesTest, GrowsWithTheObjectToTenThousandParts) {
  constexpr std::int64_t kMebibyte = std::int64_t{1} << 20;
  EXPECT_EQ(PartBytes(0), 16 * kMebibyte);
  EXPECT_EQ(PartBytes(160'000 * kMebibyte), 16 * kMebibyte);
  EXPECT_EQ(PartBytes(160'000 * kMebibyte + 1), 17 * kMebibyte);
}

}  // namespace
}  // namespace atelier::objects
