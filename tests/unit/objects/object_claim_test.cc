#include "server/objects/object_claim.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "tests/unit/objects/object_test_server.h"

namespace atelier::objects {
namespace {

constexpr char kMarker[] = "prefix/atelier-server";

class ObjectClaimTest : public ObjectTest {
 protected:
  absl::Status Claim(const std::string& server) {
    return ObjectClaim(server, folder_.path(), list_.get()).Claim(&client_, clock_.Now());
  }
  // Every call that begins so is answered with this.
  void Answer(const std::string& beginning, const http::Answer& answer) {
    s3_.before = [=](const std::string& call) -> std::optional<FakeS3::Result> {
      if (!absl::StartsWith(call, beginning)) return std::nullopt;
      return answer;
    };
  }
};

TEST_F(ObjectClaimTest, MarksThePrefixAndKnowsItAgain) {
  EXPECT_TRUE(Claim("0123456789abcdef").ok());
  EXPECT_EQ(s3_.objects[kMarker], "0123456789abcdef\n");
  EXPECT_TRUE(Claim("0123456789abcdef").ok());
}

TEST_F(ObjectClaimTest, RefusesThePrefixOfAnotherServer) {
  EXPECT_TRUE(Claim("0123456789abcdef").ok());
  const absl::Status status = Claim("fedcba9876543210");
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "another server, 0123456789abcdef")) << status;
}

TEST_F(ObjectClaimTest, OneOfTwoThatTryAtOnceIsRefused) {
  s3_.before = [&](const std::string& call) -> std::optional<FakeS3::Result> {
    if (absl::StartsWith(call, "PUT")) s3_.objects[kMarker] = "fedcba9876543210\n";
    return std::nullopt;
  };
  const absl::Status status = Claim("0123456789abcdef");
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(s3_.objects[kMarker], "fedcba9876543210\n");
}

TEST_F(ObjectClaimTest, SaysWhatIsWrongWithTheStore) {
  Answer("GET", FakeS3::Error(404, "NoSuchBucket"));
  EXPECT_TRUE(absl::StrContains(Claim("a").message(), "make the bucket first")) << Claim("a");
  Answer("GET", FakeS3::Error(403, "InvalidAccessKeyId"));
  EXPECT_TRUE(absl::StrContains(Claim("a").message(), "does not know the access key"));
  Answer("PUT", FakeS3::Error(403, "AccessDenied"));
  EXPECT_TRUE(absl::StrContains(Claim("a").message(), "cannot be written to")) << Claim("a");
  EXPECT_TRUE(absl::IsFailedPrecondition(Claim("a")));
  s3_.before = nullptr;
  ASSERT_TRUE(Claim("a").ok());
  // Read-only since.
  Answer("PUT", FakeS3::Error(403, "AccessDenied"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Claim("a")));
}

TEST_F(ObjectClaimTest, AStoreThatIsAwayIsAskedAgain) {
  ObjectClaim claim("a", folder_.path(), list_.get());
  Answer("GET", {.status = 503});
  EXPECT_TRUE(absl::IsUnavailable(claim.Claim(&client_, clock_.Now())));
  EXPECT_FALSE(claim.claimed());
  s3_.before = nullptr;
  EXPECT_TRUE(claim.Claim(&client_, clock_.Now()).ok());
  s3_.calls.clear();
  EXPECT_TRUE(claim.Claim(&client_, clock_.Now()).ok());
  EXPECT_TRUE(s3_.calls.empty());
}

TEST_F(ObjectClaimTest, ANewStoreGetsEverythingAgain) {
  jobs::ObjectRecord record = Add("models/m/1/model.tar.gz", "archive");
  ASSERT_TRUE(list_->ObjectStored(record, clock_.Now()).ok());
  EXPECT_TRUE(Claim("a").ok());
  EXPECT_EQ(list_->FindObject(record.path)->state, jobs::ObjectRecord::State::kPending);
}

TEST_F(ObjectClaimTest, ANewStoreIsRefusedWhileTheOldOneHasTheOnlyCopies) {
  jobs::ObjectRecord record = Add("models/m/1/model.tar.gz", "archive");
  ASSERT_TRUE(list_->ObjectStored(record, clock_.Now()).ok());
  std::filesystem::remove(folder_ / record.path);
  const absl::Status status = Claim("a");
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_TRUE(absl::StrContains(status.message(), "1 of its files")) << status;
  EXPECT_TRUE(s3_.objects.empty());
}

}  // namespace
}  // namespace atelier::objects
