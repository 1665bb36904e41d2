// How the processes of an attempt find each other, before a server in this process.
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "atelier/worker/v1/worker_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "models/base/failure.h"
#include "server/worker/ranks.h"

namespace atelier::worker {
namespace {

using models::FailureReason;
using models::ReasonOf;
using ::testing::HasSubstr;

// Keeps what the ranks of one attempt leave.
class ValuesServer final : public v1::WorkerService::Service {
 public:
  ValuesServer() {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~ValuesServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  void Fail(const grpc::Status& fault) {
    absl::MutexLock lock(&mutex_);
    fault_ = fault;
  }

  FileLine::Options Line() {
    return {
        .channel = server_->InProcessChannel({}), .hello = {}, .given_up = [] { return false; }};
  }

 private:
  grpc::Status ShareValues(grpc::ServerContext* /*context*/, const v1::ShareValuesRequest* request,
                           v1::ShareValuesResponse* response) override {
    absl::MutexLock lock(&mutex_);
    if (!fault_.ok()) return fault_;
    for (const auto& [key, value] : request->values()) values_[key] = value;
    for (const std::string& key : request->wanted()) {
      if (values_.count(key) > 0) (*response->mutable_values())[key] = values_[key];
    }
    return grpc::Status::OK;
  }

  absl::Mutex mutex_;
  std::map<std::string, std::string> values_ ABSL_GUARDED_BY(mutex_);
  grpc::Status fault_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

class MeetingTest : public ::testing::Test {
 protected:
  MeetingTest() { assignment_.mutable_lease()->set_seconds(20); }

  static Meeting Of(int rank, const std::string& network = "") {
    return {.place = {.rank = rank, .size = 2}, .network = network};
  }
  auto Meet(const Meeting& meeting) { return MeetRanks(meeting, assignment_, &line_); }

  ValuesServer server_;
  FileLine line_{server_.Line()};
  v1::Assignment assignment_;
};

TEST_F(MeetingTest, ProcessesOfOneMachineMeet) {
  auto other = std::async(std::launch::async, [this] { return Meet(Of(1)); });
  const auto first = Meet(Of(0));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ((*first)->size(), 2);
  const auto second = other.get();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*second)->rank(), 1);
  EXPECT_EQ(SaidAbsence(&line_), "");
}

TEST_F(MeetingTest, OneThatCannotComeSaysWhy) {
  auto first = std::async(std::launch::async, [this] { return Meet(Of(0)).status(); });
  SayAbsence({.rank = 1, .size = 2}, models::Failure(FailureReason::kBadData, "no images"), &line_);
  const absl::Status status = first.get();
  EXPECT_EQ(ReasonOf(status), FailureReason::kRankLost) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("rank 1: no images"));
  // One that ends for the loss of another leaves what was said.
  SayAbsence({.rank = 0, .size = 2}, status, &line_);
  EXPECT_EQ(SaidAbsence(&line_), "rank 1: no images");
}

TEST_F(MeetingTest, OneOutsideOfTheNetworkSaysSo) {
  const absl::Status status = Meet(Of(1, "203.0.113.0/24")).status();
  EXPECT_EQ(ReasonOf(status), FailureReason::kRankLost) << status;
  EXPECT_EQ(SaidAbsence(&line_), "rank 1: this machine has no address in 203.0.113.0/24");
}

TEST_F(MeetingTest, NobodyMeetsForAnAttemptThatIsNotWanted) {
  server_.Fail({grpc::StatusCode::ABORTED, "the attempt is over"});
  const absl::Status status = Meet(Of(0, "127.0.0.0/8")).status();
  EXPECT_EQ(ReasonOf(status), FailureReason::kRankLost) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the attempt is over"));
  EXPECT_EQ(SaidAbsence(&line_), "");
}

TEST(PlaceTest, EnginesSayWhichProcessItIs) {
  EXPECT_EQ(PlaceOf(1, -1)->size, 1);
  EXPECT_FALSE(PlaceOf(1, -1)->starts_others);
  EXPECT_TRUE(PlaceOf(3, -1)->starts_others);
  EXPECT_EQ(PlaceOf(3, 2)->rank, 2);
  EXPECT_FALSE(PlaceOf(3, 2)->starts_others);
  EXPECT_EQ(PlaceOf(3, 3).status().code(), absl::StatusCode::kInvalidArgument);
  for (const char* name : {"SLURM_PROCID", "JOB_COMPLETION_INDEX"}) {
    setenv(name, "1", 1);
    EXPECT_EQ(PlaceOf(3, -1)->rank, 1);
    EXPECT_FALSE(PlaceOf(3, -1)->starts_others);
    EXPECT_EQ(PlaceOf(1, -1)->rank, 0) << "a job of one node in an array of jobs";
    setenv(name, "three", 1);
    EXPECT_EQ(PlaceOf(3, -1).status().code(), absl::StatusCode::kInvalidArgument);
    unsetenv(name);
  }
}

}  // namespace
}  // namespace atelier::worker
