// The workers' sessions, over a real channel, before a hand-written host.
#include "server/launch/worker_service.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace atelier::launch {
namespace {

using ::testing::ElementsAre;
using worker::v1::AttachRequest;
using worker::v1::AttachResponse;
using worker::v1::WorkerEvent;

// Accepts one token and stores the numbers of events.
class FakeHost final : public SessionHost {
 public:
  absl::StatusOr<jobs::Attachment> Attach(const worker::v1::Hello& hello,
                                          std::shared_ptr<jobs::WorkerLink> link) override {
    if (on_attach) on_attach(link.get());
    MutexLock lock(&mutex_);
    if (hello.token() != "right") return absl::UnauthenticatedError("wrong token");
    link_ = std::move(link);
    changed_.NotifyAll();
    return attachment;
  }

  absl::StatusOr<worker::v1::Assignment> Join(const worker::v1::Hello& hello) override {
    auto assignment = Assigned(hello);
    if (assignment.ok()) assignment->set_probe("probe");
    return assignment;
  }

  absl::StatusOr<worker::v1::Assignment> Assigned(const worker::v1::Hello& hello) override {
    MutexLock lock(&mutex_);
    if (hello.token() != "right") return absl::UnauthenticatedError("wrong token");
    if (!assigned_error.ok()) return assigned_error;
    return attachment.assignment;
  }

  absl::StatusOr<std::int64_t> Report(absl::string_view job, int attempt,
                                      absl::Span<const WorkerEvent> events) override {
    MutexLock lock(&mutex_);
    EXPECT_EQ(job, "a-job");
    EXPECT_EQ(attempt, 2);
    if (!report_error.ok()) return report_error;
    for (const WorkerEvent& event : events) stored_.push_back(event.number());
    return stored_.back();
  }

  absl::Status Heartbeat(absl::string_view, int) override {
    MutexLock lock(&mutex_);
    return report_error;
  }

  void Detached(absl::string_view job, int attempt, const jobs::WorkerLink* link) override {
    MutexLock lock(&mutex_);
    EXPECT_EQ(job, "a-job");
    EXPECT_EQ(attempt, 2);
    if (link == link_.get()) link_ = nullptr;
    changed_.NotifyAll();
  }

  std::vector<std::int64_t> stored() {
    MutexLock lock(&mutex_);
    return stored_;
  }
  std::shared_ptr<jobs::WorkerLink> link() {
    MutexLock lock(&mutex_);
    return link_;
  }
  void AwaitDetached() {
    MutexLock lock(&mutex_);
    while (link_ != nullptr) changed_.Wait(&mutex_);
  }

  // Set before sessions begin.
  jobs::Attachment attachment;
  absl::Status report_error;
  absl::Status assigned_error;
  std::function<void(jobs::WorkerLink*)> on_attach;

 private:
  Mutex mutex_;
  CondVar changed_;
  std::shared_ptr<jobs::WorkerLink> link_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::int64_t> stored_ ABSL_GUARDED_BY(mutex_);
};

class WorkerServiceTest : public ::testing::Test {
 protected:
  WorkerServiceTest() {
    host_.attachment.assignment.set_acknowledged(7);
    host_.attachment.assignment.set_job_name("jobs/a-job");
    tasks_ = std::make_unique<TaskQueue>(TaskQueue::Options{"sessions", 2, 100});
    Serve();
  }
  ~WorkerServiceTest() override { server_->Shutdown(); }

  void Serve() {
    service_ = std::make_unique<WorkerService>(&host_, tasks_.get());
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = worker::v1::WorkerService::NewStub(server_->InProcessChannel({}));
  }

  // A worker's end of a session.
  struct Worker {
    explicit Worker(worker::v1::WorkerService::Stub* stub) : stream(stub->Attach(&context)) {}

    void Hello(const std::string& token = "right") {
      AttachRequest request;
      request.mutable_hello()->set_job("a-job");
      request.mutable_hello()->set_attempt(2);
      request.mutable_hello()->set_token(token);
      stream->Write(request);
    }
    void Report(const std::vector<std::int64_t>& numbers) {
      AttachRequest request;
      for (std::int64_t number : numbers)
        request.mutable_report()->add_events()->set_number(number);
      stream->Write(request);
    }
    void Heartbeat() {
      AttachRequest request;
      request.mutable_heartbeat();
      stream->Write(request);
    }
    AttachResponse Read() {
      AttachResponse response;
      EXPECT_TRUE(stream->Read(&response)) << "the call has ended";
      return response;
    }
    // Reads until the call ends.
    grpc::Status Finish() {
      for (AttachResponse response; stream->Read(&response);) {
      }
      return stream->Finish();
    }

    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<AttachRequest, AttachResponse>> stream;
  };

  FakeHost host_;
  std::unique_ptr<TaskQueue> tasks_;
  std::unique_ptr<WorkerService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<worker::v1::WorkerService::Stub> stub_;
};

TEST_F(WorkerServiceTest, AnswersHelloWithTheAssignment) {
  Worker worker(stub_.get());
  worker.Hello();
  const AttachResponse response = worker.Read();
  ASSERT_TRUE(response.has_assignment());
  EXPECT_EQ(response.assignment().job_name(), "jobs/a-job");
  worker.stream->WritesDone();
  EXPECT_TRUE(worker.Finish().ok());
}

TEST_F(WorkerServiceTest, EndsTheCallOfAWrongToken) {
  Worker worker(stub_.get());
  worker.Hello("wrong");
  const grpc::Status status = worker.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(status.error_message(), "wrong token");
}

TEST_F(WorkerServiceTest, AcknowledgesWhatIsStored) {
  Worker worker(stub_.get());
  worker.Hello();
  worker.Read();
  worker.Report({8, 9});
  EXPECT_EQ(worker.Read().acknowledge().number(), 9);
  worker.Report({10});
  EXPECT_EQ(worker.Read().acknowledge().number(), 10);
  EXPECT_THAT(host_.stored(), ElementsAre(8, 9, 10));
  worker.context.TryCancel();
  worker.Finish();
}

TEST_F(WorkerServiceTest, EndsTheCallWhenEventsCannotBeStored) {
  host_.report_error = absl::AbortedError("the attempt is over");
  Worker worker(stub_.get());
  worker.Hello();
  worker.Report({8});
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(host_.stored(), ElementsAre());
}

TEST_F(WorkerServiceTest, AnswersHeartbeats) {
  Worker worker(stub_.get());
  worker.Hello();
  worker.Read();
  worker.Heartbeat();
  EXPECT_EQ(worker.Read().acknowledge().number(), 7);
  worker.context.TryCancel();
  worker.Finish();
}

TEST_F(WorkerServiceTest, EndsTheCallWhenTheAttemptIsOverAtAHeartbeat) {
  host_.report_error = absl::AbortedError("the attempt is over");
  Worker worker(stub_.get());
  worker.Hello();
  worker.Heartbeat();
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(WorkerServiceTest, SendsCommands) {
  Worker worker(stub_.get());
  worker.Hello();
  worker.Read();
  host_.link()->Stop();
  EXPECT_TRUE(worker.Read().has_stop());
  host_.link()->Suspend();
  EXPECT_TRUE(worker.Read().has_suspend());
  worker.context.TryCancel();
  worker.Finish();
}

TEST_F(WorkerServiceTest, SendsTheAssignmentBeforeEarlierCommands) {
  host_.attachment.suspend = true;
  host_.on_attach = [](jobs::WorkerLink* link) { link->Stop(); };
  Worker worker(stub_.get());
  worker.Hello();
  EXPECT_TRUE(worker.Read().has_assignment());
  EXPECT_TRUE(worker.Read().has_stop());
  EXPECT_TRUE(worker.Read().has_suspend());
  worker.context.TryCancel();
  worker.Finish();
}

TEST_F(WorkerServiceTest, EndsTheCallWhenTheHostClosesTheLink) {
  Worker worker(stub_.get());
  worker.Hello();
  worker.Read();
  const std::shared_ptr<jobs::WorkerLink> link = host_.link();
  link->Close(absl::AbortedError("no longer wanted"));
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::ABORTED);
  host_.AwaitDetached();
  link->Stop();  // Of a call that is over: does nothing.
}

TEST_F(WorkerServiceTest, TellsTheHostWhenTheConnectionBreaks) {
  Worker worker(stub_.get());
  worker.Hello();
  worker.Read();
  ASSERT_NE(host_.link(), nullptr);
  worker.context.TryCancel();
  worker.Finish();
  host_.AwaitDetached();
}

TEST_F(WorkerServiceTest, RefusesASessionThatDoesNotBeginWithHello) {
  Worker worker(stub_.get());
  worker.Report({1});
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(host_.stored(), ElementsAre());
}

TEST_F(WorkerServiceTest, RefusesASecondHelloAndUnknownMessages) {
  Worker twice(stub_.get());
  twice.Hello();
  twice.Hello();
  EXPECT_EQ(twice.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);

  Worker unknown(stub_.get());
  unknown.Hello();
  unknown.stream->Write(AttachRequest());
  EXPECT_EQ(unknown.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WorkerServiceTest, SendsWorkersAwayWhenTheQueueIsFull) {
  server_->Shutdown();
  tasks_ = std::make_unique<TaskQueue>(TaskQueue::Options{"sessions", 1, 0});
  Serve();
  Worker worker(stub_.get());
  worker.Hello();
  EXPECT_EQ(worker.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(WorkerServiceTest, GivesFurtherRanksTheAssignmentAndCarriesTheirValues) {
  host_.attachment.assignment.mutable_spec()->set_nodes(2);
  const auto hello = [](int rank, const std::string& token = "right") {
    worker::v1::Hello who;
    who.set_job("a-job");
    who.set_attempt(2);
    who.set_token(token);
    who.set_rank(rank);
    who.set_world_size(2);
    return who;
  };
  const auto join = [&](const worker::v1::Hello& who, worker::v1::Assignment* assignment) {
    grpc::ClientContext context;
    worker::v1::JoinRequest request;
    *request.mutable_worker() = who;
    return stub_->Join(&context, request, assignment).error_code();
  };
  worker::v1::Assignment assignment;
  EXPECT_EQ(join(hello(1), &assignment), grpc::StatusCode::OK);
  EXPECT_EQ(assignment.job_name(), "jobs/a-job");
  EXPECT_EQ(assignment.probe(), "probe");
  EXPECT_EQ(join(hello(1, "wrong"), &assignment), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(join(hello(2), &assignment), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(join(hello(-1), &assignment), grpc::StatusCode::INVALID_ARGUMENT);

  const auto share = [&](const worker::v1::Hello& who, std::optional<std::string> value,
                         std::string* found) {
    grpc::ClientContext context;
    worker::v1::ShareValuesRequest request;
    worker::v1::ShareValuesResponse response;
    *request.mutable_worker() = who;
    request.add_wanted("address");
    request.add_wanted("absence");
    if (value.has_value()) (*request.mutable_values())["address"] = *value;
    const auto code = stub_->ShareValues(&context, request, &response).error_code();
    EXPECT_EQ(response.values().count("absence"), 0u);
    *found = response.values().count("address") > 0 ? response.values().at("address") : "none";
    return code;
  };
  std::string found;
  EXPECT_EQ(share(hello(0), std::nullopt, &found), grpc::StatusCode::OK);
  EXPECT_EQ(found, "none");
  EXPECT_EQ(share(hello(1), "10.0.0.1", &found), grpc::StatusCode::OK);
  EXPECT_EQ(share(hello(0), std::nullopt, &found), grpc::StatusCode::OK);
  EXPECT_EQ(found, "10.0.0.1");
  EXPECT_EQ(share(hello(0, "wrong"), std::nullopt, &found), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(share(hello(3), "10.0.0.3", &found), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(share(hello(1), std::string(20'000, 'x'), &found), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace atelier::launch
