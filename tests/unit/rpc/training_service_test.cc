// TrainingService over a real channel: the real controller and database, fake processes.
#include "server/rpc/training_service.h"

#include <fstream>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "models/files/sha256.h"
#include "models/network/presets.h"
#include "server/jobs/recipes.h"
#include "server/jobs/resource_names.h"
#include "server/rpc/event_source.h"
#include "server/wiring/preset_list.h"
#include "tests/unit/jobs/controller_test_server.h"
#include "tests/unit/rpc/folder_artifacts.h"
#include "tests/unit/rpc/rpc_test_server.h"

namespace atelier::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Key;

class TrainingServiceTest : public jobs::ControllerTest {
 protected:
  using Stub = v1::TrainingService::Stub;

  TrainingServiceTest()
      : logs_(folder_.string()),
        service_({.controller = controller_.get(),
                  .events = events_.get(),
                  .artifacts = &logs_,
                  .tasks = &tasks_,
                  .streams = &streams_,
                  .list_presets =
                      [this](const v1::ListPresetsRequest& request) {
                        return wiring::ListPresets(request, &datasets_);
                      }}),
        server_({{"service", &service_}}),
        stub_(v1::TrainingService::NewStub(server_.channel())) {}

  v1::TrainingJob StartJob() {
    grpc::ClientContext context;
    v1::TrainingJob job;
    const grpc::Status status = stub_->StartTraining(&context, Request(), &job);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return job;
  }

  // Calls a method that takes nothing but a name.
  template <typename Request, typename Response>
  grpc::Status Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const std::string& name, Response* response) {
    grpc::ClientContext context;
    Request request;
    request.set_name(name);
    return (stub_.get()->*method)(&context, request, response);
  }

  // Reads a stream of metrics to its end.
  std::vector<v1::JobEvent> Watch(const v1::StreamMetricsRequest& request, grpc::Status* status) {
    grpc::ClientContext context;
    auto reader = stub_->StreamMetrics(&context, request);
    std::vector<v1::JobEvent> events;
    for (v1::JobEvent event; reader->Read(&event);) events.push_back(event);
    *status = reader->Finish();
    return events;
  }

  grpc::Status ListPresets(const std::string& dataset, v1::ListPresetsResponse* response) {
    grpc::ClientContext context;
    v1::ListPresetsRequest request;
    request.set_dataset(dataset);
    return stub_->ListPresets(&context, request, response);
  }

  // A data set of that name and image size.
  void AddDataset(const std::string& name, int height, int width) {
    jobs::DatasetFacts facts;
    facts.class_count = 10;
    facts.training_images = 1000;
    facts.image_shape.set_channels(1);
    facts.image_shape.set_height(height);
    facts.image_shape.set_width(width);
    datasets_.Add(name, facts);
  }

  std::string ReadLogs(const v1::StreamLogsRequest& request, grpc::Status* status) {
    grpc::ClientContext context;
    auto reader = stub_->StreamLogs(&context, request);
    std::string text;
    for (v1::LogChunk chunk; reader->Read(&chunk);) text += chunk.text();
    *status = reader->Finish();
    return text;
  }

  // Ends a job that trains, by the user's own mistake.
  void Fail(const std::string& id) { ASSERT_TRUE(Report(id, {Failure("BAD_DATA", "bad")}).ok()); }

  FolderArtifacts logs_;
  StreamSet streams_{{}};
  TaskQueue tasks_{{.name = "calls", .threads = 2}};
  TrainingService service_;
  RpcTestServer server_;
  std::unique_ptr<Stub> stub_;
};

TEST_F(TrainingServiceTest, StartsGetsListsStopsAndDeletes) {
  const v1::TrainingJob started = StartJob();
  EXPECT_EQ(started.state(), v1::JOB_STATE_QUEUED);
  v1::TrainingJob job;
  ASSERT_TRUE(Call(&Stub::GetJob, started.name(), &job).ok());
  EXPECT_EQ(job.name(), started.name());
  {
    grpc::ClientContext context;
    v1::ListJobsResponse list;
    ASSERT_TRUE(stub_->ListJobs(&context, {}, &list).ok());
    ASSERT_EQ(list.jobs_size(), 1);
    EXPECT_EQ(list.jobs(0).name(), started.name());
  }
  ASSERT_TRUE(Call(&Stub::StopJob, started.name(), &job).ok());
  EXPECT_EQ(job.state(), v1::JOB_STATE_STOPPED);
  google::protobuf::Empty nothing;
  ASSERT_TRUE(Call(&Stub::DeleteJob, started.name(), &nothing).ok());
  EXPECT_EQ(Call(&Stub::GetJob, started.name(), &job).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(TrainingServiceTest, NamesEveryWrongFieldOfASpecification) {
  v1::StartTrainingRequest request;
  request.mutable_spec()->set_preset("cnn-9");
  request.mutable_spec()->set_epochs(0);
  request.set_base_name("a/b");
  grpc::ClientContext context;
  v1::TrainingJob job;
  const grpc::Status status = stub_->StartTraining(&context, request, &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(DetailsOf(status).violations,
              ElementsAre(Key("base_name"), Key("spec.epochs"), Key("spec.preset")));
}

TEST_F(TrainingServiceTest, ListsThePresetsWithTheirSizesForADataSet) {
  AddDataset("fashion-mnist", 28, 28);
  v1::ListPresetsResponse list;
  ASSERT_TRUE(ListPresets("", &list).ok());
  EXPECT_EQ(list.dataset(), "datasets/fashion-mnist");
  ASSERT_EQ(list.presets_size(), static_cast<int>(models::PresetNames().size()));
  const v1::Preset& cnn = list.presets(1);
  EXPECT_EQ(cnn.name(), "cnn-1");
  EXPECT_EQ(cnn.conv_depth(), 1);
  EXPECT_EQ(cnn.parameter_count(), 202'570);
  EXPECT_EQ(cnn.trainable_parameter_count(), 202'506);
  EXPECT_EQ(cnn.multiply_adds(), 427'776);
  EXPECT_EQ(cnn.problem(), "");
  EXPECT_FALSE(list.presets(6).has_conv_depth());
}

TEST_F(TrainingServiceTest, APresetThatDoesNotFitTheImagesSaysWhy) {
  AddDataset("tiny", 3, 3);
  v1::ListPresetsResponse list;
  ASSERT_TRUE(ListPresets("datasets/tiny", &list).ok());
  EXPECT_EQ(list.dataset(), "datasets/tiny");
  EXPECT_EQ(list.presets(0).problem(), "");
  EXPECT_GT(list.presets(0).parameter_count(), 0);
  EXPECT_THAT(list.presets(1).problem(), HasSubstr("its window is 4x4"));
  EXPECT_EQ(list.presets(1).problem().back(), '.');
  EXPECT_EQ(list.presets(1).parameter_count(), 0);
  EXPECT_EQ(list.presets(1).multiply_adds(), 0);
}

TEST_F(TrainingServiceTest, PresetsAreListedOnlyForADataSetThatCanBeUsed) {
  jobs::DatasetFacts broken;
  broken.problem = "train-images is truncated";
  datasets_.Add("broken", broken);
  v1::ListPresetsResponse list;
  grpc::Status status = ListPresets("datasets/none", &list);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(DetailsOf(status).reason, "DATASET_NOT_FOUND");
  EXPECT_THAT(status.error_message(), HasSubstr("fashion-mnist"));
  status = ListPresets("datasets/broken", &list);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(status).reason, "BAD_DATA");
  EXPECT_THAT(status.error_message(), HasSubstr("train-images is truncated."));
  status = ListPresets("fashion-mnist", &list);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(DetailsOf(status).violations, ElementsAre(Key("dataset")));
}

TEST_F(TrainingServiceTest, AJobGetsTheValuesThatItsRecipeLists) {
  grpc::ClientContext context;
  v1::ListRecipesResponse list;
  ASSERT_TRUE(stub_->ListRecipes(&context, {}, &list).ok());
  ASSERT_EQ(list.recipes_size(), static_cast<int>(jobs::Recipes().size()));
  for (const v1::RecipeDefaults& recipe : list.recipes()) {
    v1::StartTrainingRequest request = Request();
    request.mutable_spec()->set_recipe(recipe.recipe());
    grpc::ClientContext starting;
    v1::TrainingJob job;
    ASSERT_TRUE(stub_->StartTraining(&starting, request, &job).ok());
    EXPECT_EQ(job.spec().epochs(), recipe.defaults().epochs());
    EXPECT_EQ(job.spec().schedule(), recipe.defaults().schedule());
    EXPECT_EQ(job.spec().erasing(), recipe.defaults().erasing());
  }
}

TEST_F(TrainingServiceTest, RefusesNamesThatAreNone) {
  for (const char* name : {"", "jobs/", "job", "jobs/../etc", "jobs/a/b", "jobs/\n", "models/a"}) {
    v1::TrainingJob job;
    google::protobuf::Empty nothing;
    v1::ConfusionMatrix matrix;
    v1::GetPredictionsResponse predictions;
    std::vector<grpc::Status> answers = {
        Call(&Stub::GetJob, name, &job), Call(&Stub::StopJob, name, &job),
        Call(&Stub::DeleteJob, name, &nothing), Call(&Stub::GetConfusionMatrix, name, &matrix),
        Call(&Stub::GetPredictions, name, &predictions)};
    v1::StreamMetricsRequest metrics;
    metrics.set_name(name);
    Watch(metrics, &answers.emplace_back());
    v1::StreamLogsRequest logs;
    logs.set_name(name);
    ReadLogs(logs, &answers.emplace_back());
    for (const grpc::Status& status : answers) {
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
      EXPECT_THAT(DetailsOf(status).violations, ElementsAre(Key("name")));
    }
  }
}

TEST_F(TrainingServiceTest, ErrorsOfTheControllerKeepTheirReasons) {
  v1::TrainingJob job;
  EXPECT_EQ(DetailsOf(Call(&Stub::GetJob, "jobs/none", &job)).reason, "JOB_NOT_FOUND");
  const std::string name = StartJob().name();
  google::protobuf::Empty nothing;
  const grpc::Status not_ended = Call(&Stub::DeleteJob, name, &nothing);
  EXPECT_EQ(not_ended.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(not_ended).reason, "JOB_NOT_ENDED");
  v1::ConfusionMatrix matrix;
  EXPECT_EQ(DetailsOf(Call(&Stub::GetConfusionMatrix, name, &matrix)).reason, "NOT_EVALUATED");
  for (int i = 0; i < 2; ++i) StartJob();
  grpc::ClientContext context;
  const grpc::Status full = stub_->StartTraining(&context, Request(), &job);
  EXPECT_EQ(full.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(full).reason, "QUEUE_FULL");
  EXPECT_TRUE(DetailsOf(full).retry);
}

TEST_F(TrainingServiceTest, RefusesPagesFromElsewhere) {
  v1::ListJobsRequest request;
  request.set_page_token("elsewhere");
  grpc::ClientContext context;
  v1::ListJobsResponse list;
  EXPECT_THAT(DetailsOf(stub_->ListJobs(&context, request, &list)).violations,
              ElementsAre(Key("page_token")));
}

TEST_F(TrainingServiceTest, RefusesAMessageOverTheLimit) {
  v1::StartTrainingRequest request = Request();
  request.set_base_name(std::string(17 << 20, 'a'));
  grpc::ClientContext context;
  v1::TrainingJob job;
  EXPECT_EQ(stub_->StartTraining(&context, request, &job).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(TrainingServiceTest, AVeryLongNameIsAnsweredAllTheSame) {
  v1::TrainingJob job;
  const grpc::Status status = Call(&Stub::GetJob, "jobs/" + std::string(1 << 20, 'a'), &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TrainingServiceTest, ReplaysAndEndsWithTheJobsLastEvent) {
  const std::string id = Train();
  for (int step = 1; step <= 100; ++step) ASSERT_TRUE(Report(id, {Step(1, step)}).ok());
  ASSERT_TRUE(Report(id, {Epoch(1)}).ok());
  Fail(id);
  v1::StreamMetricsRequest request;
  request.set_name(jobs::JobName(id));
  grpc::Status status;
  const auto all = Watch(request, &status);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(all.size(), Replay(id).size());
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_GT(all[i].number(), all[i - 1].number());
  EXPECT_EQ(all.back().transition().state(), v1::JOB_STATE_FAILED);

  request.set_after_number(all[50].number());
  const auto rest = Watch(request, &status);
  ASSERT_EQ(rest.size(), all.size() - 51);
  EXPECT_EQ(rest.front().number(), all[51].number());

  request.set_after_number(0);
  request.set_epochs_only(true);
  for (const v1::JobEvent& event : Watch(request, &status)) EXPECT_FALSE(event.has_step());
}

TEST_F(TrainingServiceTest, FollowsLive) {
  const std::string id = Train();
  v1::StreamMetricsRequest request;
  request.set_name(jobs::JobName(id));
  grpc::ClientContext context;
  auto reader = stub_->StreamMetrics(&context, request);
  v1::JobEvent event;
  do {
    ASSERT_TRUE(reader->Read(&event));
  } while (event.transition().state() != v1::JOB_STATE_TRAINING);
  for (int step = 1; step <= 20; ++step) {
    ASSERT_TRUE(Report(id, {Step(1, step)}).ok());
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(event.step().step(), step);
  }
  Fail(id);
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.transition().state(), v1::JOB_STATE_FAILED);
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(TrainingServiceTest, AStreamWithoutNewsTellsWhatTheJobWaitsFor) {
  StartJob();
  v1::TrainingJob second = StartJob();
  EventSource source(
      events_.get(),
      [&](const std::string& id) -> absl::StatusOr<v1::TrainingJob> {
        auto job = controller_->Get(id);
        if (job.ok()) job->set_waiting_reason("no memory");
        return job;
      },
      *jobs::ParseJobName(second.name()), 0, false);
  const auto batch = source.Produce();
  ASSERT_TRUE(batch.ok()) << batch.status();
  ASSERT_FALSE(batch->messages.empty());
  const auto event = source.StillThere();
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->number(), batch->messages.back()->number());
  EXPECT_EQ(event->waiting().queue_position(),
            controller_->Get(*jobs::ParseJobName(second.name()))->queue_position());
  EXPECT_EQ(event->waiting().reason(), "no memory");
  EXPECT_TRUE(event->has_time());
}

TEST_F(TrainingServiceTest, AStreamTellsWhatTheJobWaitsForWhenThatChanges) {
  const std::string id = *jobs::ParseJobName(StartJob().name());
  EventSource source(
      events_.get(), [&](const std::string& job) { return controller_->Get(job); }, id, 0, false);
  const auto first = source.Produce();
  ASSERT_TRUE(first.ok() && !first->messages.empty());
  int woken = 0;
  ASSERT_TRUE(source.Await([&] { ++woken; }));
  for (const auto& wake : events_->SetNote(id, "It waits: Priority.")) wake();
  EXPECT_EQ(woken, 1);
  const auto second = source.Produce();
  ASSERT_TRUE(second.ok());
  ASSERT_EQ(second->messages.size(), 1u);
  EXPECT_EQ(second->messages[0]->waiting().reason(), "It waits: Priority.");
  EXPECT_EQ(second->messages[0]->number(), first->messages.back()->number());
  EXPECT_TRUE(source.Produce()->messages.empty());
  ASSERT_TRUE(source.Await([&] { ++woken; }));
  for (const auto& wake : events_->SetNote(id, "")) wake();
  EXPECT_EQ(source.Produce()->messages.at(0)->waiting().reason(), "");
}

TEST_F(TrainingServiceTest, ManyFollowersSeeTheSame) {
  const std::string id = Train();
  v1::StreamMetricsRequest request;
  request.set_name(jobs::JobName(id));
  std::vector<std::thread> watchers;
  std::vector<std::vector<v1::JobEvent>> seen(16);
  for (auto& events : seen) {
    watchers.emplace_back([&] {
      grpc::Status status;
      events = Watch(request, &status);
      EXPECT_TRUE(status.ok());
    });
  }
  for (int step = 1; step <= 200; ++step) ASSERT_TRUE(Report(id, {Step(1, step)}).ok());
  Fail(id);
  for (std::thread& watcher : watchers) watcher.join();
  for (const auto& events : seen) EXPECT_EQ(events.size(), Replay(id).size());
}

TEST_F(TrainingServiceTest, StreamsOfUnknownJobsAndNumbersAreRefused) {
  v1::StreamMetricsRequest request;
  request.set_name("jobs/none");
  grpc::Status status;
  Watch(request, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  request.set_after_number(-1);
  Watch(request, &status);
  EXPECT_THAT(DetailsOf(status).violations, ElementsAre(Key("after_number")));
}

TEST_F(TrainingServiceTest, SendsAWholeLogAndEnds) {
  const std::string id = Train();
  const std::string text(600'000, 'x');
  logs_.WriteLog(id, 1, text);
  v1::StreamLogsRequest request;
  request.set_name(jobs::JobName(id));
  grpc::Status status;
  EXPECT_EQ(ReadLogs(request, &status), text);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(TrainingServiceTest, FollowsALogUntilTheAttemptHasEnded) {
  const std::string id = Train();
  logs_.WriteLog(id, 1, "first, ");
  v1::StreamLogsRequest request;
  request.set_name(jobs::JobName(id));
  request.set_follow(true);
  grpc::ClientContext context;
  auto reader = stub_->StreamLogs(&context, request);
  v1::LogChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.text(), "first, ");
  EXPECT_EQ(chunk.attempt(), 1);
  logs_.WriteLog(id, 1, "second");
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.text(), "second");
  Fail(id);
  EXPECT_FALSE(reader->Read(&chunk));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(TrainingServiceTest, FollowingWaitsForTheFirstAttempt) {
  const std::string id = Start();
  v1::StreamLogsRequest request;
  request.set_name(jobs::JobName(id));
  request.set_follow(true);
  grpc::ClientContext context;
  auto reader = stub_->StreamLogs(&context, request);
  controller_->Tick();
  logs_.WriteLog(id, 1, "here");
  v1::LogChunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));
  EXPECT_EQ(chunk.text(), "here");
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(TrainingServiceTest, SaysWhenThereIsNoLog) {
  const std::string id = Start();
  v1::StreamLogsRequest request;
  request.set_name(jobs::JobName(id));
  grpc::Status status;
  ReadLogs(request, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(DetailsOf(status).reason, "NO_LOG");
  request.set_attempt(3);
  ReadLogs(request, &status);
  EXPECT_EQ(DetailsOf(status).reason, "ATTEMPT_NOT_FOUND");
  request.set_attempt(-1);
  ReadLogs(request, &status);
  EXPECT_THAT(DetailsOf(status).violations, ElementsAre(Key("attempt")));
}

TEST_F(TrainingServiceTest, SendsATensorboardLogAsFarAsItIsWritten) {
  const std::string path = folder_ / "events.out.tfevents.1.atelier";
  std::ofstream(path, std::ios::binary) << std::string(300'000, 'a') << "half a record";
  TrainingService service({.controller = controller_.get(),
                           .events = events_.get(),
                           .artifacts = &logs_,
                           .tasks = &tasks_,
                           .streams = &streams_,
                           .tensorboard = [&](const std::string& job) {
                             EXPECT_EQ(job, "night-1");
                             return GrowingFile{path, 300'000};
                           }});
  RpcTestServer server({{"service", &service}});
  const auto stub = v1::TrainingService::NewStub(server.channel());
  const auto download = [&](const std::string& name, std::string* data, v1::DownloadChunk* head) {
    grpc::ClientContext context;
    v1::DownloadTensorboardRequest request;
    request.set_name(name);
    const auto reader = stub->DownloadTensorboard(&context, request);
    v1::DownloadChunk chunk;
    for (bool first = true; reader->Read(&chunk); first = false) {
      if (first) *head = chunk;
      data->append(chunk.data());
    }
    return reader->Finish();
  };
  std::string data;
  v1::DownloadChunk head;
  EXPECT_TRUE(download("jobs/night-1", &data, &head).ok());
  EXPECT_EQ(data, std::string(300'000, 'a'));
  EXPECT_EQ(head.total_bytes(), 300'000);
  EXPECT_EQ(head.sha256(), models::Sha256Of(data));
  EXPECT_EQ(head.file_name(), "events.out.tfevents.1.atelier");
  EXPECT_EQ(download("night-1", &data, &head).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(TrainingServiceTest, AnswersBusyWhenTooManyCallsWait) {
  absl::Notification begun, gate;
  TaskQueue one({.name = "one", .threads = 1, .capacity = 1});
  TrainingService busy({.controller = controller_.get(),
                        .events = events_.get(),
                        .artifacts = &logs_,
                        .tasks = &one,
                        .streams = &streams_});
  RpcTestServer server({{"busy", &busy}});
  ASSERT_TRUE(one.TryAdd([&] {
    begun.Notify();
    gate.WaitForNotification();
  }));
  begun.WaitForNotification();
  ASSERT_TRUE(one.TryAdd([] {}));
  grpc::ClientContext context;
  v1::ListJobsResponse list;
  const grpc::Status status =
      v1::TrainingService::NewStub(server.channel())->ListJobs(&context, {}, &list);
  EXPECT_EQ(DetailsOf(status).reason, "SERVER_BUSY");
  gate.Notify();
}

}  // namespace
}  // namespace atelier::rpc
