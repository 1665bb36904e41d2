// A whole server's worth of jobs in a test: the controller over the real database in a temporary
// folder, everything else fake; can be restarted, and speaks for workers.
#ifndef ATELIER_TESTS_UNIT_JOBS_CONTROLLER_TEST_SERVER_H_
#define ATELIER_TESTS_UNIT_JOBS_CONTROLLER_TEST_SERVER_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/jobs/event_log.h"
#include "server/jobs/job_controller.h"
#include "server/jobs/job_state.h"
#include "server/jobs/spec_resolver.h"
#include "server/store/sqlite_store.h"
#include "tests/unit/jobs/fakes.h"

namespace atelier::jobs {

class ControllerTest : public testing::Test {
 protected:
  ControllerTest() {
    static int count = 0;
    folder_ = std::filesystem::temp_directory_path() /
              absl::StrCat("atelier-controller-", getpid(), "-", ++count);
    std::filesystem::create_directories(folder_);
    options_.total_cores = 2;
    options_.queue_capacity = 3;
    options_.lease = absl::Seconds(30);
    options_.log = [this](const std::string& sentence) { logged_.push_back(sentence); };
    Boot();
  }
  ~ControllerTest() override {
    controller_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  // Starts the server, after ending the one that ran as a kill would.
  void Boot() {
    controller_.reset();
    events_.reset();
    disk_.reset();
    store_.reset();
    auto store = store::SqliteStore::Open(folder_ / "atelier.db");
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    disk_ = std::make_unique<FullDiskStore>(store_.get());
    events_ = std::make_unique<EventLog>(EventLog::Options(), disk_.get());
    SpecResolver::Options resolver{
        .presets = {{"dense", 0}, {"cnn-1", 1}, {"cnn-2", 2}, {"cnn-3", 3}, {"cnn-3-pooled"}},
        .max_cores = 2,
        .default_cores = 2,
        .draw_seed = [] { return 7; },
        .models = store_.get(),
        .describe_start =
            [](const v1::TrainingSpec&, const DatasetFacts&, const v1::ModelVersion* version,
               v1::TrainingStart* start) {
              if (version != nullptr) start->set_model_version(version->name());
              return std::vector<FieldViolation>();
            },
        .check_arguments = [](const std::vector<std::string>&) { return absl::OkStatus(); }};
    resolver_ = std::make_unique<SpecResolver>(resolver, &datasets_);
    auto controller = CreateController();
    ASSERT_TRUE(controller.ok()) << controller.status();
    controller_ = *std::move(controller);
  }

  // A controller over what there is, as a server makes one at its start.
  absl::StatusOr<std::unique_ptr<JobController>> CreateController() {
    return JobController::Create(options_, {.clock = &clock_,
                                            .jobs = disk_.get(),
                                            .models = store_.get(),
                                            .artifacts = &artifacts_,
                                            .datasets = &datasets_,
                                            .pushed_datasets = store_.get(),
                                            .executor = &executor_,
                                            .resolver = resolver_.get(),
                                            .events = events_.get(),
                                            .observers = observers_});
  }

  static v1::StartTrainingRequest Request() {
    v1::StartTrainingRequest request;
    request.mutable_spec()->set_preset("cnn-3");
    return request;
  }

  // Time goes by, with Tick called whenever it is due.
  void Pass(absl::Duration duration) {
    while (duration > absl::ZeroDuration()) {
      const absl::Duration due = std::max(controller_->Tick(), absl::Milliseconds(1));
      const absl::Duration step = std::min(duration, due);
      clock_.Advance(step);
      duration -= step;
    }
    controller_->Tick();
  }

  // Starts a job and answers with its id.
  std::string Start(const v1::StartTrainingRequest& request = Request()) {
    auto job = controller_->Start(request);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? job->name().substr(5) : "";
  }

  v1::TrainingJob Get(const std::string& id) {
    auto job = controller_->Get(id);
    EXPECT_TRUE(job.ok()) << job.status();
    return job.ok() ? *job : v1::TrainingJob();
  }
  std::string State(const std::string& id) { return std::string(StateWord(Get(id).state())); }
  // The reason of the newest change of state.
  std::string Reason(const std::string& id) {
    const v1::TrainingJob job = Get(id);
    return job.transitions(job.transitions_size() - 1).reason();
  }
  std::string Message(const std::string& id) {
    const v1::TrainingJob job = Get(id);
    return job.transitions(job.transitions_size() - 1).message();
  }
  int AttemptOf(const std::string& id) { return Get(id).attempts_size(); }
  std::string HandleOf(const std::string& id) { return store_->Load(id)->handle; }

  worker::v1::Hello Hello(const std::string& id) {
    worker::v1::Hello hello;
    hello.set_job(id);
    hello.set_attempt(AttemptOf(id));
    hello.set_token(store_->Load(id)->token);
    return hello;
  }

  // The newest attempt attaches with a new link.
  Attachment Attach(const std::string& id) {
    link_ = std::make_shared<FakeLink>();
    auto attachment = controller_->Attach(Hello(id), link_);
    EXPECT_TRUE(attachment.ok()) << attachment.status();
    if (!attachment.ok()) return {};
    next_[id] = attachment->assignment.acknowledged() + 1;
    return *std::move(attachment);
  }

  // Numbers the events and reports them for the newest attempt.
  absl::StatusOr<std::int64_t> Report(const std::string& id,
                                      std::vector<worker::v1::WorkerEvent> events) {
    for (auto& event : events) event.set_number(next_[id]++);
    return controller_->Report(id, AttemptOf(id), events);
  }

  // Brings a new job into training.
  std::string Train(const v1::StartTrainingRequest& request = Request()) {
    const std::string id = Start(request);
    controller_->Tick();
    Attach(id);
    EXPECT_TRUE(
        Report(id, {Phase(worker::v1::PHASE_PREPARING), Phase(worker::v1::PHASE_TRAINING)}).ok());
    return id;
  }

  // All events a reader is shown, by number.
  std::vector<v1::JobEvent> Replay(const std::string& id, std::int64_t after = 0,
                                   bool epochs_only = false) {
    std::vector<v1::JobEvent> all;
    while (true) {
      auto page = events_->Read(id, after, 3, epochs_only);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok() || page->events.empty()) return all;
      for (const auto& event : page->events) all.push_back(*event);
      after = page->position;
    }
  }

  static worker::v1::WorkerEvent Phase(worker::v1::Phase phase) {
    worker::v1::WorkerEvent event;
    event.set_phase(phase);
    return event;
  }
  static worker::v1::WorkerEvent Step(int epoch, int step) {
    worker::v1::WorkerEvent event;
    event.mutable_step()->set_epoch(epoch);
    event.mutable_step()->set_epochs(20);
    event.mutable_step()->set_step(step);
    event.mutable_step()->set_steps_per_epoch(422);
    return event;
  }
  static worker::v1::WorkerEvent Epoch(int epoch) {
    worker::v1::WorkerEvent event;
    event.mutable_epoch()->set_epoch(epoch);
    return event;
  }
  static worker::v1::WorkerEvent Checkpoint(int epoch, std::int64_t global_step) {
    worker::v1::WorkerEvent event;
    event.mutable_checkpoint()->set_epoch(epoch);
    event.mutable_checkpoint()->set_global_step(global_step);
    return event;
  }
  static worker::v1::WorkerEvent Resources() {
    worker::v1::WorkerEvent event;
    event.mutable_resources()->set_cpu_seconds(1);
    return event;
  }
  static worker::v1::WorkerEvent Resumed(int epoch, int step, std::int64_t global_step) {
    worker::v1::WorkerEvent event;
    event.mutable_resumed()->set_epoch(epoch);
    event.mutable_resumed()->set_step(step);
    event.mutable_resumed()->set_global_step(global_step);
    return event;
  }
  static worker::v1::WorkerEvent Failure(const std::string& reason, const std::string& message) {
    worker::v1::WorkerEvent event;
    event.mutable_failure()->set_reason(reason);
    event.mutable_failure()->set_message(message);
    return event;
  }
  static worker::v1::WorkerEvent Suspended() {
    worker::v1::WorkerEvent event;
    event.mutable_suspended();
    return event;
  }
  static worker::v1::WorkerEvent StoppedEmpty() {
    worker::v1::WorkerEvent event;
    event.mutable_stopped_empty();
    return event;
  }
  static worker::v1::WorkerEvent Outcome(bool stopped_early = false) {
    worker::v1::WorkerEvent event;
    worker::v1::Outcome* outcome = event.mutable_outcome();
    outcome->mutable_result()->set_test_accuracy(0.9);
    outcome->mutable_result()->set_stopped_early(stopped_early);
    outcome->mutable_confusion_matrix()->add_class_names("shirt");
    outcome->mutable_confusion_matrix()->add_class_names("bag");
    outcome->mutable_confusion_matrix()->add_rows()->add_counts(3);
    for (int i = 0; i < 4; ++i) {
      v1::Prediction* prediction = outcome->add_predictions();
      prediction->set_index(i);
      prediction->set_true_class(i % 2);
      prediction->set_predicted_class(i < 2 ? 1 - i % 2 : i % 2);
    }
    outcome->set_archive("model.tar.gz");
    outcome->set_sha256("abc");
    outcome->set_size_bytes(123);
    for (const int extent : {1, 28, 28}) outcome->add_image_shape(extent);
    return event;
  }

  std::filesystem::path folder_;
  JobController::Options options_;
  FakeClock clock_;
  FakeExecutor executor_;
  FakeDatasets datasets_;
  FakeArtifacts artifacts_;
  std::vector<std::string> logged_;
  std::vector<JobObserver*> observers_;  // Of the next Boot.
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<FullDiskStore> disk_;
  std::unique_ptr<EventLog> events_;
  std::unique_ptr<SpecResolver> resolver_;
  std::unique_ptr<JobController> controller_;
  std::shared_ptr<FakeLink> link_;            // Of the newest Attach.
  std::map<std::string, std::int64_t> next_;  // Number of each worker's next event.
};

}  // namespace atelier::jobs

#endif  // ATELIER_TESTS_UNIT_JOBS_CONTROLLER_TEST_SERVER_H_
