#include "server/rpc/status.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/jobs/error.h"
#include "server/jobs/over_limit.h"
#include "tests/unit/rpc/rpc_test_server.h"

namespace atelier::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::Pair;

TEST(StatusTest, OkIsOk) { EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok()); }

TEST(StatusTest, CarriesTheReason) {
  const grpc::Status status =
      ToGrpcStatus(jobs::Error(absl::StatusCode::kNotFound, "JOB_NOT_FOUND", "There is no job a."));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "There is no job a.");
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.reason, "JOB_NOT_FOUND");
  EXPECT_EQ(details.domain, "atelier");
  EXPECT_FALSE(details.retry);
}

TEST(StatusTest, NamesEveryWrongField) {
  const grpc::Status status =
      ToGrpcStatus(jobs::InvalidFields({{"spec.epochs", "too many"}, {"spec.seed", "odd"}}));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  const ErrorDetails details = DetailsOf(status);
  EXPECT_THAT(details.violations,
              ElementsAre(Pair("spec.epochs", "too many"), Pair("spec.seed", "odd")));
  EXPECT_EQ(details.reason, "");
}

TEST(StatusTest, GivesUnexpectedErrorsAReasonToo) {
  const ErrorDetails details = DetailsOf(ToGrpcStatus(absl::InternalError("what?")));
  EXPECT_EQ(details.reason, "INTERNAL");
  EXPECT_EQ(details.domain, "atelier");
}

TEST(StatusTest, SaysWhenToTryAgainWhereThatHelps) {
  EXPECT_TRUE(DetailsOf(ToGrpcStatus(ServerBusy())).retry);
  EXPECT_EQ(ToGrpcStatus(ServerStopping()).error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(StatusTest, ALimitSaysItselfWhetherWaitingHelps) {
  jobs::Excess excess{"alice", "jobs", 2, "3 jobs", "Wait."};
  EXPECT_FALSE(DetailsOf(ToGrpcStatus(jobs::OverLimit(excess))).retry);
  excess.retry = absl::Seconds(10);
  const ErrorDetails details = DetailsOf(ToGrpcStatus(jobs::OverLimit(excess)));
  EXPECT_TRUE(details.retry);
  EXPECT_EQ(details.reason, "CALLER_LIMIT");
}

TEST(StatusTest, StaysBelowWhatClientsAccept) {
  std::vector<jobs::FieldViolation> violations;
  for (int i = 0; i < 100; ++i) {
    violations.push_back({absl::StrCat("field", i), std::string(10'000, 'x')});
  }
  const grpc::Status status = ToGrpcStatus(jobs::InvalidFields(violations));
  EXPECT_LT(status.error_message().size() + status.error_details().size(), 7000);
  EXPECT_GT(DetailsOf(status).violations.size(), 10);
}

TEST(StatusTest, NeverCutsWithinACharacter) {
  for (std::size_t pad = 0; pad < 3; ++pad) {
    std::string text(pad, 'x');
    while (text.size() < 2000) text += "–";
    const std::string message = ToGrpcStatus(absl::InternalError(text)).error_message();
    EXPECT_EQ((message.size() - pad) % 3, 0);
    EXPECT_THAT(message, EndsWith("–…"));
  }
}

}  // namespace
}  // namespace atelier::rpc
