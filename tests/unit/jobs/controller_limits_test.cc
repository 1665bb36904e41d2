// What the jobs of one creator may have at most.
#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"
#include "server/jobs/over_limit.h"
#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

class ControllerLimitsTest : public ControllerTest {
 protected:
  ControllerLimitsTest() {
    options_.queue_capacity = 10;
    options_.limits_of = [this](const std::string& creator) { return limits_[creator]; };
    Boot();
  }

  static v1::StartTrainingRequest Small(int cores = 1) {
    v1::StartTrainingRequest request = Request();
    request.mutable_spec()->set_cores(cores);
    return request;
  }

  std::string StartBy(const std::string& creator,
                      const v1::StartTrainingRequest& request = Small()) {
    auto job = controller_->Start(request, creator);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? job->name().substr(5) : "";
  }

  std::map<std::string, JobLimits> limits_;
};

TEST_F(ControllerLimitsTest, MoreJobsThanALimitAreRefusedToItsCreatorAlone) {
  limits_["alice"].jobs = 2;
  StartBy("alice");
  const std::string second = StartBy("alice");
  const absl::Status refused = controller_->Start(Small(), "alice").status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(ReasonOf(refused), "CALLER_LIMIT");
  EXPECT_EQ(refused.message(),
            "alice would have 3 jobs that have not ended, and may have 2 (jobs in the server's "
            "access file). Try again when one has ended.");
  google::rpc::QuotaFailure quota;
  ASSERT_TRUE(quota.ParseFromString(std::string(*refused.GetPayload(kQuotaFailureUrl))));
  EXPECT_EQ(quota.violations(0).subject(), "caller:alice");
  EXPECT_TRUE(refused.GetPayload(kRetryInfoUrl).has_value());
  StartBy("bob");
  ASSERT_TRUE(controller_->Stop(second).ok());
  StartBy("alice");
}

TEST_F(ControllerLimitsTest, ARepeatIsAnsweredAtTheLimit) {
  limits_["alice"].jobs = 1;
  v1::StartTrainingRequest request = Small();
  request.set_request_id("once");
  const std::string id = StartBy("alice", request);
  EXPECT_EQ(StartBy("alice", request), id);
}

TEST_F(ControllerLimitsTest, TooHighAPriorityAndTooManyCoresAreRefusedForGood) {
  limits_["alice"].priority = 3;
  limits_["alice"].cores = 1;
  v1::StartTrainingRequest urgent = Small();
  urgent.mutable_spec()->set_priority(4);
  for (const auto& request : {urgent, Small(2)}) {
    const absl::Status refused = controller_->Start(request, "alice").status();
    EXPECT_EQ(ReasonOf(refused), "CALLER_LIMIT");
    EXPECT_FALSE(refused.GetPayload(kRetryInfoUrl).has_value()) << "waiting is no use";
  }
  urgent.mutable_spec()->set_priority(3);
  StartBy("alice", urgent);
}

TEST_F(ControllerLimitsTest, JobsBeyondARunningLimitWaitAndLetOthersPass) {
  limits_["alice"].running = 1;
  const std::string first = StartBy("alice");
  const std::string second = StartBy("alice");
  const std::string bobs = StartBy("bob");
  controller_->Tick();
  EXPECT_EQ(State(first), "STARTING");
  EXPECT_EQ(State(second), "QUEUED");
  EXPECT_EQ(State(bobs), "STARTING");
  EXPECT_EQ(Get(second).waiting_reason(), "alice has 1 jobs running, and may have 1.");
  // A limit that is lifted lets it go within seconds.
  limits_["alice"].running = 2;
  ASSERT_TRUE(controller_->Stop(bobs).ok());
  executor_.Exit(HandleOf(bobs), "exited with code 0");
  Pass(absl::Seconds(2));
  EXPECT_EQ(State(second), "STARTING");
  EXPECT_EQ(Get(second).waiting_reason(), "");
}

TEST_F(ControllerLimitsTest, CoresOfRunningJobsAreCounted) {
  limits_["alice"].cores = 1;
  const std::string first = StartBy("alice");
  const std::string second = StartBy("alice");
  controller_->Tick();
  EXPECT_EQ(State(first), "STARTING");
  EXPECT_EQ(State(second), "QUEUED");
  EXPECT_EQ(Get(second).waiting_reason(),
            "It needs 1 cores; of the 1 that alice may have, 1 are taken.");
}

TEST_F(ControllerLimitsTest, ACreatorWithTooManyBytesOfModelsStartsNoTraining) {
  limits_["alice"].models = 0;
  EXPECT_EQ(ReasonOf(controller_->Start(Small(), "alice").status()), "CALLER_LIMIT");
  limits_["alice"].models = 1;
  StartBy("alice");
}

TEST_F(ControllerLimitsTest, BytesOfDataAndUploadsAreAddedUp) {
  limits_["alice"].data = 100;
  EXPECT_TRUE(controller_->CheckData("alice", 60, 40).ok());
  EXPECT_EQ(ReasonOf(controller_->CheckData("alice", 60, 41)), "CALLER_LIMIT");
  EXPECT_EQ(ReasonOf(controller_->CheckData("alice", 60, INT64_MAX)), "CALLER_LIMIT");
  EXPECT_TRUE(controller_->CheckData("bob", 60, INT64_MAX).ok());
}

}  // namespace
}  // namespace atelier::jobs
