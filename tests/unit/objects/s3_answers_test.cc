#include "server/objects/s3_answers.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "tests/unit/objects/fake_s3.h"

namespace atelier::objects {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1369353600);

TEST(S3AnswersTest, ReadsElementsAndResolvesEntities) {
  const std::string xml =
      "<R><Part><ETag>&quot;a&amp;lt;&quot;</ETag></Part><Part><ETag>b</ETag></Part><Part>";
  EXPECT_EQ(ElementsOf(xml, "Part").size(), 2u);
  EXPECT_EQ(TextOf(xml, "ETag"), "\"a&lt;\"");
  EXPECT_EQ(TextOf(xml, "None"), "");
  EXPECT_TRUE(ElementsOf("<Part>", "Part").empty());
}

TEST(S3AnswersTest, EtagsAreComparedWithoutTheirQuotes) {
  EXPECT_EQ(PlainEtag("\"abc-2\""), "abc-2");
  EXPECT_EQ(PlainEtag("W/\"abc\""), "abc");
  EXPECT_EQ(PlainEtag(""), "");
}

TEST(S3AnswersTest, ErrorsSayWhatCanBeDone) {
  const std::pair<http::Answer, absl::StatusCode> cases[] = {
      {FakeS3::Error(404, "NoSuchKey"), absl::StatusCode::kNotFound},
      {FakeS3::Error(404, "NoSuchBucket"), absl::StatusCode::kFailedPrecondition},
      {FakeS3::Error(403, "SignatureDoesNotMatch"), absl::StatusCode::kPermissionDenied},
      {FakeS3::Error(400, "ExpiredToken"), absl::StatusCode::kPermissionDenied},
      {FakeS3::Error(412, "PreconditionFailed"), absl::StatusCode::kAborted},
      {FakeS3::Error(400, "BadDigest"), absl::StatusCode::kDataLoss},
      {FakeS3::Error(400, "RequestTimeout"), absl::StatusCode::kUnavailable},
      {FakeS3::Error(503, "SlowDown"), absl::StatusCode::kUnavailable},
      // An object may have such bytes.
      {FakeS3::Error(206, "InternalError"), absl::StatusCode::kOk},
      {FakeS3::Error(400, "InvalidArgument"), absl::StatusCode::kInternal},
      {{.status = 404}, absl::StatusCode::kNotFound},
      {{.status = 502}, absl::StatusCode::kUnavailable},
      {{.status = 301}, absl::StatusCode::kFailedPrecondition},
      {{.status = 206}, absl::StatusCode::kOk}};
  for (const auto& [answer, code] : cases) {
    EXPECT_EQ(StatusOf(answer, kNow).code(), code) << answer.status << answer.body;
  }
  EXPECT_EQ(
      StatusOf(FakeS3::Error(403, "SignatureDoesNotMatch"), kNow).message(),
      "the store answered 403 SignatureDoesNotMatch (It is so); the secret key is not that of "
      "the access key, or --s3_region is not the store's");
}

TEST(S3AnswersTest, ASkewedClockIsShownBesideTheStores) {
  http::Answer answer = FakeS3::Error(403, "RequestTimeTooSkewed");
  answer.headers["date"] = "Fri, 24 May 2013 02:00:00 GMT";
  const absl::Status status = StatusOf(answer, kNow);
  EXPECT_TRUE(absl::StrContains(status.message(), "02:00:00")) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "24 May 2013 00:00:00")) << status;
}

TEST(S3AnswersTest, TheRightRegionIsNamed) {
  http::Answer answer{.status = 301};
  answer.headers["x-amz-bucket-region"] = "eu-west-1";
  EXPECT_TRUE(absl::StrContains(StatusOf(answer, kNow).message(), "--s3_region=eu-west-1"));
}

TEST(S3AnswersTest, WhatTheStoreSendsIsMadePrintable) {
  http::Answer answer{.status = 500};
  answer.body = "<Error><Code>A\nB</Code><Message>" + std::string(5000, 'x') + "</Message></Error>";
  const std::string message(StatusOf(answer, kNow).message());
  EXPECT_TRUE(absl::StrContains(message, "A?B"));
  EXPECT_LT(message.size(), 300u);
}

TEST(S3AnswersTest, RetryAfterIsTakenWithinReason) {
  http::Answer answer{.status = 503};
  EXPECT_EQ(RetryAfter(StatusOf(answer, kNow)), absl::ZeroDuration());
  answer.headers["retry-after"] = "7";
  EXPECT_EQ(RetryAfter(StatusOf(answer, kNow)), absl::Seconds(7));
  answer.headers["retry-after"] = "86400";
  EXPECT_EQ(RetryAfter(StatusOf(answer, kNow)), absl::Minutes(5));
  answer.headers["retry-after"] = "Fri, 24 May 2013 02:00:00 GMT";
  EXPECT_EQ(RetryAfter(StatusOf(answer, kNow)), absl::ZeroDuration());
}

TEST(S3AnswersTest, ATruncatedAnswerIsNone) {
  http::Answer answer{.status = 200, .ended = absl::UnavailableError("it broke off")};
  EXPECT_EQ(StatusOf(answer, kNow), answer.ended);
}

}  // namespace
}  // namespace atelier::objects
