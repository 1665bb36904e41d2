// ExperimentService over a real channel: the real controllers and database, fake processes.
#include "server/rpc/experiment_service.h"

#include <vector>

#include "gmock/gmock.h"
#include "server/base/tick_thread.h"
#include "server/jobs/experiment_signal.h"
#include "tests/unit/jobs/controller_test_server.h"
#include "tests/unit/rpc/rpc_test_server.h"

namespace atelier::rpc {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::SizeIs;

class ExperimentServiceTest : public jobs::ControllerTest {
 protected:
  ExperimentServiceTest()
      : service_((StartController(),
                  ExperimentService::Dependencies{
                      .controller = experiments_.get(), .tasks = &tasks_, .streams = &streams_})),
        server_({{"service", &service_}}),
        stub_(v1::ExperimentService::NewStub(server_.channel())) {}

  // The server of the fixture again, whose job controller tells the signal.
  void StartController() {
    observers_ = {&signal_};
    Boot();
    auto created = jobs::ExperimentController::Create({}, {.clock = &clock_,
                                                           .experiments = store_.get(),
                                                           .jobs = controller_.get(),
                                                           .resolver = resolver_.get()});
    ASSERT_TRUE(created.ok()) << created.status();
    experiments_ = *std::move(created);
  }

  ~ExperimentServiceTest() override {
    signal_.SetKick({});
    thread_.reset();
  }

  // Lets experiments go on by themselves from here on.
  void Drive() {
    thread_ = std::make_unique<TickThread>(
        TickThread::Options{.name = "experiments", .pause = absl::ZeroDuration()},
        [this] { return experiments_->Tick(); });
    experiments_->SetKick(thread_->kick());
    signal_.SetKick(thread_->kick());
  }

  static v1::StartExperimentRequest OneRun() {
    v1::StartExperimentRequest request;
    request.add_configurations()->set_preset("dense");
    request.add_seeds(5);
    return request;
  }

  v1::Experiment Start(const v1::StartExperimentRequest& request) {
    grpc::ClientContext context;
    v1::Experiment experiment;
    const grpc::Status status = stub_->StartExperiment(&context, request, &experiment);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return experiment;
  }

  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (v1::ExperimentService::Stub::*method)(grpc::ClientContext*,
                                                                        const Request&, Response*),
                    const std::string& name, Response* response) {
    grpc::ClientContext context;
    Request request;
    request.set_name(name);
    return (stub_.get()->*method)(&context, request, response);
  }

  jobs::ExperimentSignal signal_;
  std::unique_ptr<jobs::ExperimentController> experiments_;
  StreamSet streams_{{}};
  TaskQueue tasks_{{.name = "calls", .threads = 2}};
  ExperimentService service_;
  RpcTestServer server_;
  std::unique_ptr<v1::ExperimentService::Stub> stub_;
  std::unique_ptr<TickThread> thread_;
};

TEST_F(ExperimentServiceTest, StreamSendsAllThenChangesAndEndsWithTheExperiment) {
  v1::StartExperimentRequest request = OneRun();
  request.add_configurations()->set_preset("cnn-1");
  const v1::Experiment started = Start(request);
  grpc::ClientContext context;
  v1::StreamExperimentRequest asked;
  asked.set_name(started.name());
  auto reader = stub_->StreamExperiment(&context, asked);
  v1::ExperimentUpdate update;
  ASSERT_TRUE(reader->Read(&update));
  EXPECT_THAT(update.experiment().runs(), SizeIs(2));
  EXPECT_THAT(update.experiment().configurations(), SizeIs(2));

  Drive();
  ASSERT_TRUE(reader->Read(&update));
  EXPECT_THAT(update.experiment().configurations(), SizeIs(0));
  EXPECT_EQ(update.experiment().runs(0).state(), v1::RUN_STATE_QUEUED);
  v1::Experiment stopping;
  ASSERT_TRUE(Call(&v1::ExperimentService::Stub::StopExperiment, started.name(), &stopping).ok());
  v1::ExperimentState last = v1::EXPERIMENT_STATE_UNSPECIFIED;
  while (reader->Read(&update)) last = update.experiment().state();
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(last, v1::EXPERIMENT_STATE_STOPPED);
}

TEST_F(ExperimentServiceTest, GetsListsAndDeletes) {
  const v1::Experiment started = Start(OneRun());
  v1::Experiment experiment;
  ASSERT_TRUE(Call(&v1::ExperimentService::Stub::GetExperiment, started.name(), &experiment).ok());
  EXPECT_EQ(experiment.seeds(0), 5);
  grpc::ClientContext context;
  v1::ListExperimentsResponse list;
  ASSERT_TRUE(stub_->ListExperiments(&context, {}, &list).ok());
  EXPECT_THAT(list.experiments(), SizeIs(1));
  google::protobuf::Empty empty;
  grpc::Status status =
      Call(&v1::ExperimentService::Stub::DeleteExperiment, started.name(), &empty);
  EXPECT_EQ(DetailsOf(status).reason, "EXPERIMENT_NOT_ENDED");
  ASSERT_TRUE(Call(&v1::ExperimentService::Stub::StopExperiment, started.name(), &experiment).ok());
  experiments_->Tick();
  EXPECT_TRUE(Call(&v1::ExperimentService::Stub::DeleteExperiment, started.name(), &empty).ok());
  status = Call(&v1::ExperimentService::Stub::GetExperiment, started.name(), &experiment);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(DetailsOf(status).reason, "EXPERIMENT_NOT_FOUND");
}

TEST_F(ExperimentServiceTest, NamesTheWrongFields) {
  v1::StartExperimentRequest request = OneRun();
  request.mutable_configurations(0)->set_epochs(0);
  grpc::ClientContext context;
  v1::Experiment experiment;
  const grpc::Status status = stub_->StartExperiment(&context, request, &experiment);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(DetailsOf(status).violations, Contains(Key("configurations[0].epochs")));
  EXPECT_THAT(DetailsOf(Call(&v1::ExperimentService::Stub::GetExperiment, "jobs/x", &experiment))
                  .violations.at("name"),
              HasSubstr("experiments/"));
}

TEST_F(ExperimentServiceTest, StreamOfAnUnknownExperimentIsNotFound) {
  grpc::ClientContext context;
  v1::StreamExperimentRequest request;
  request.set_name("experiments/none-20260101-000000");
  auto reader = stub_->StreamExperiment(&context, request);
  v1::ExperimentUpdate update;
  EXPECT_FALSE(reader->Read(&update));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace atelier::rpc
