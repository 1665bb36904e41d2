// The real program, as a process, before a server in this one.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/processes/process_executor.h"
#include "tests/unit/worker/fake_worker_server.h"
#include "tests/unit/worker/small_job.h"

namespace atelier::worker {
namespace {

using ::testing::HasSubstr;

class WorkerProgramTest : public ::testing::Test {
 protected:
  WorkerProgramTest() {
    server_.Set([&](auto* behaviour) { behaviour->assignment = job_.Assignment(); });
    MakeExecutor("");
  }
  ~WorkerProgramTest() override { executor_->Kill(handle_); }

  void MakeExecutor(const std::string& cache_dir) {
    auto executor =
        processes::ProcessExecutor::Create({.worker = {.program = ATELIER_WORKER_BINARY,
                                                       .server_address = server_.address(),
                                                       .server_certificate = {},
                                                       .cache_dir = cache_dir,
                                                       .cache_bytes = 1 << 20},
                                            .nice = 0});
    EXPECT_TRUE(executor.ok()) << executor.status();
    executor_ = *std::move(executor);
    executor_->SetStatusCallback([this](const std::string&, const jobs::LaunchStatus& status) {
      absl::MutexLock lock(&mutex_);
      end_ = std::get<jobs::ProcessEnd>(status).how;
    });
  }

  // The worker does not find the server's files, which are a checkpoint alone.
  void HideFiles(const std::string& cache_dir, const grpc::Status& files) {
    MakeExecutor(cache_dir);
    server_.Set([&](auto* behaviour) {
      behaviour->files = files;
      behaviour->assignment.set_probe("random digits");
      behaviour->assignment.clear_dataset_dir();
      behaviour->assignment.clear_dataset_file();
      behaviour->assignment.add_earlier_attempt_dirs("/srv/atelier/jobs/small/attempts/1");
    });
  }

  void ChangeSpec(const std::function<void(atelier::v1::TrainingSpec*)>& change) {
    server_.Set([&](auto* behaviour) { change(behaviour->assignment.mutable_spec()); });
  }

  void Launch() {
    jobs::LaunchRequest request;
    request.job_id = "small";
    request.token = "the token";
    request.attempt_dir = job_.attempt_dir(1);
    request.resources.cores = 1;
    auto launched = executor_->Launch(request);
    ASSERT_TRUE(launched.ok()) << launched.status();
    handle_ = launched->handle;
  }
  pid_t pid() const { return processes::ProcessHandle::Parse(handle_)->pid; }

  std::string AwaitEnd() {
    absl::MutexLock lock(&mutex_);
    const auto ended = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !end_.empty(); };
    mutex_.AwaitWithTimeout(absl::Condition(&ended), absl::Seconds(120));
    return end_;
  }

  bool HasCheckpoint() const {
    for (const auto& entry : std::filesystem::directory_iterator(job_.attempt_dir(1))) {
      if (entry.path().extension() == ".ckpt") return true;
    }
    return false;
  }

  SmallJob job_;
  FakeWorkerServer server_;
  std::unique_ptr<processes::ProcessExecutor> executor_;
  std::string handle_;
  absl::Mutex mutex_;
  std::string end_ ABSL_GUARDED_BY(mutex_);
};

TEST_F(WorkerProgramTest, DeliversAWholeJobAndEnds) {
  // Long enough for the first sample, which comes after a second.
  ChangeSpec([](auto* spec) { spec->set_epochs(400), spec->set_patience(400); });
  server_.Start();
  Launch();
  const v1::WorkerEvent sample = server_.AwaitEvent(v1::WorkerEvent::kResources);
  EXPECT_GT(sample.resources().cpu_seconds(), 0);
  EXPECT_GT(sample.resources().resident_bytes(), 1 << 20);
  EXPECT_GT(sample.resources().sent_bytes(), 0);
  EXPECT_GT(sample.resources().received_bytes(), 0);
  EXPECT_EQ(AwaitEnd(), "exited with code 0");
  const std::vector<v1::WorkerEvent> events = server_.events();
  ASSERT_TRUE(events.back().has_outcome()) << events.back().ShortDebugString();
  EXPECT_EQ(events.back().outcome().result().epochs_trained(), 400);
  EXPECT_TRUE(std::filesystem::exists(job_.attempt_dir(1) + "/model.tar.gz"));
  EXPECT_TRUE(std::filesystem::exists(job_.attempt_dir(1) + "/worker.log"));
}

TEST_F(WorkerProgramTest, SuspendsOnATerminationSignal) {
  ChangeSpec([](auto* spec) { spec->set_epochs(10000), spec->set_patience(10000); });
  server_.Start();
  Launch();
  server_.AwaitEvent(v1::WorkerEvent::kStep);
  ASSERT_EQ(kill(pid(), SIGTERM), 0);
  EXPECT_EQ(AwaitEnd(), "exited with code 0");
  EXPECT_TRUE(server_.events().back().has_suspended());
  EXPECT_TRUE(HasCheckpoint());
}

TEST_F(WorkerProgramTest, StopsWhenToldTo) {
  ChangeSpec([](auto* spec) { spec->set_epochs(10000), spec->set_patience(10000); });
  server_.Start();
  Launch();
  server_.AwaitEvent(v1::WorkerEvent::kEpoch);
  v1::AttachResponse stop;
  stop.mutable_stop();
  server_.Send(stop);
  EXPECT_EQ(AwaitEnd(), "exited with code 0");
  ASSERT_TRUE(server_.events().back().has_outcome());
  EXPECT_TRUE(server_.events().back().outcome().result().stopped_early());
}

TEST_F(WorkerProgramTest, EndsAtOnceWhenItIsNotWanted) {
  server_.Set([](auto* behaviour) {
    behaviour->refusal = {grpc::StatusCode::ABORTED, "the attempt is over"};
  });
  server_.Start();
  Launch();
  EXPECT_EQ(AwaitEnd(), "exited with code 3");
}

TEST_F(WorkerProgramTest, WritesACheckpointWhenItsLeaseIsOver) {
  ChangeSpec([](auto* spec) { spec->set_epochs(10000), spec->set_patience(10000); });
  server_.Set([](auto* behaviour) { behaviour->lease = absl::Seconds(1); });
  server_.Start();
  Launch();
  server_.AwaitEvent(v1::WorkerEvent::kStep);
  server_.Stop();
  EXPECT_EQ(AwaitEnd(), "exited with code 4");
  EXPECT_TRUE(HasCheckpoint());
}

TEST_F(WorkerProgramTest, FailsOverItsMemoryLimitAndSaysSo) {
  // Less than the libraries alone use.
  ChangeSpec([](auto* spec) {
    spec->set_memory_bytes(8 << 20), spec->set_epochs(10000), spec->set_patience(10000);
  });
  server_.Start();
  Launch();
  EXPECT_EQ(AwaitEnd(), "exited with code 0");
  const v1::WorkerEvent last = server_.events().back();
  ASSERT_TRUE(last.has_failure()) << last.ShortDebugString();
  EXPECT_EQ(last.failure().reason(), "OUT_OF_MEMORY");
  EXPECT_THAT(last.failure().message(), HasSubstr("8 MiB"));
}

TEST_F(WorkerProgramTest, ReportsBadData) {
  std::filesystem::remove(job_.dataset_dir() + "/train-labels-idx1-ubyte");
  server_.Start();
  Launch();
  EXPECT_EQ(AwaitEnd(), "exited with code 0");
  const std::vector<v1::WorkerEvent> events = server_.events();
  EXPECT_EQ(events.back().failure().reason(), "BAD_DATA");
  // It did not last until the first regular sample.
  ASSERT_GE(events.size(), 2U);
  EXPECT_TRUE(events[events.size() - 2].has_resources());
}

TEST_F(WorkerProgramTest, SendsItsLogWhereItsDiskFails) {
  // Nobody makes folders there.
  HideFiles("/proc/atelier", grpc::Status::OK);
  server_.Start();
  Launch();
  EXPECT_THAT(AwaitEnd(), HasSubstr("exited with code 6"));
  EXPECT_THAT(server_.log(), HasSubstr("making /proc/atelier"));
}

TEST_F(WorkerProgramTest, SendsItsLogWhileItFetches) {
  HideFiles(job_.attempt_dir(1) + "/cache", {grpc::StatusCode::UNAVAILABLE, "busy"});
  server_.Start();
  Launch();
  EXPECT_TRUE(server_.Await([&] {
    return server_.log().find("data directory is not on this machine") != std::string::npos;
  }));
}

TEST_F(WorkerProgramTest, EndsAsLostWithoutACheckpointThatDoesNotCome) {
  HideFiles(job_.attempt_dir(1) + "/cache", {grpc::StatusCode::NOT_FOUND, "gone"});
  server_.Start();
  Launch();
  EXPECT_EQ(AwaitEnd(), "it could not fetch its files, as its log says (exited with code 7)");
  for (const v1::WorkerEvent& event : server_.events()) {
    EXPECT_FALSE(event.has_failure()) << event.ShortDebugString();
  }
  EXPECT_THAT(server_.log(), HasSubstr("gone"));
}

}  // namespace
}  // namespace atelier::worker
