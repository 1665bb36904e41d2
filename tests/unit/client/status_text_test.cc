#include "client/calls/status_text.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "tests/unit/client/fake_server.h"

namespace atelier::client {
namespace {

TEST(StatusTextTest, FieldsAreNamedAsTheCommandLineNamesThem) {
  EXPECT_EQ(FlagOf("spec.batch_size"), "--batch-size");
  EXPECT_EQ(FlagOf("spec.memory_bytes"), "--memory");
  EXPECT_EQ(FlagOf("base_name"), "--name");
  EXPECT_EQ(FlagOf("page_size"), "--limit");
}

TEST(StatusTextTest, EveryWrongFieldIsALineOfItsOwn) {
  const absl::Status status =
      ToStatus(BadRequest({{"spec.epochs", "The number is 0; it must be 1 to 10000."},
                           {"spec.batch_size", "It must divide\nby 3"}}),
               "localhost:1");
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(),
            "--epochs: The number is 0; it must be 1 to 10000.\n"
            "--batch-size: It must divide\\x0aby 3.");
}

TEST(StatusTextTest, SaysWhatToDoNextByTheReason) {
  const absl::Status status =
      ToStatus(ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "There is no job x"),
               "localhost:1");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(), "There is no job x. `atelier jobs` lists the jobs.");
}

TEST(StatusTextTest, ExplainsTheTransportsErrors) {
  const auto words = [](grpc::StatusCode code) {
    return std::string(ToStatus(grpc::Status(code, "x"), "localhost:1").message());
  };
  EXPECT_TRUE(absl::StrContains(words(grpc::StatusCode::UNAVAILABLE), "localhost:1 broke"));
  EXPECT_TRUE(absl::StrContains(words(grpc::StatusCode::DEADLINE_EXCEEDED), "in time"));
  EXPECT_TRUE(absl::StrContains(words(grpc::StatusCode::UNIMPLEMENTED), "another version"));
}

TEST(StatusTextTest, DamagedDetailsDoNoHarm) {
  const grpc::Status status(grpc::StatusCode::INTERNAL, "It broke", "\xff\xff not a message");
  EXPECT_EQ(ToStatus(status, "localhost:1").message(), "It broke.");
}

TEST(StatusTextTest, OnlyTheTransportsErrorsAreBreaks) {
  EXPECT_TRUE(IsBroken(grpc::Status(grpc::StatusCode::UNAVAILABLE, "")));
  EXPECT_TRUE(IsBroken(grpc::Status(grpc::StatusCode::UNKNOWN, "Stream removed")));
  EXPECT_FALSE(IsBroken(ErrorWithReason(grpc::StatusCode::INTERNAL, "BUG", "")));
  EXPECT_FALSE(IsBroken(ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "")));
}

}  // namespace
}  // namespace atelier::client
