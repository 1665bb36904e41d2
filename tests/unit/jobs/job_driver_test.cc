#include "server/jobs/job_driver.h"

#include <gtest/gtest.h>

#include "tests/unit/jobs/controller_test_server.h"

namespace atelier::jobs {
namespace {

// With the system's clock, on real threads; everything waits for what it expects to happen.
class JobDriverTest : public ControllerTest {
 protected:
  // Waits until the job has an event that `wanted` likes.
  bool Await(const std::string& id, const std::function<bool(const v1::JobEvent&)>& wanted) {
    std::int64_t position = 0;
    while (true) {
      auto page = events_->Read(id, position, 0, false);
      if (!page.ok()) return false;
      for (const auto& event : page->events) {
        if (wanted(*event)) return true;
      }
      position = page->position;
      if (page->ended && page->events.empty()) return false;
      if (!page->events.empty()) continue;
      Mutex mutex;
      CondVar changed;
      bool woken = false;
      const auto subscribed = events_->Subscribe(id, position, [&] {
        MutexLock lock(&mutex);
        woken = true;
        changed.NotifyAll();
      });
      MutexLock lock(&mutex);
      while (subscribed.has_value() && !woken) changed.Wait(&mutex);
    }
  }
};

bool IsStarting(const v1::JobEvent& event) {
  return event.transition().state() == v1::JOB_STATE_STARTING;
}

TEST_F(JobDriverTest, StartsJobsAsTheyComeAndAsCoresGetFree) {
  JobDriver driver(controller_.get());
  const std::string first = Start();
  const std::string second = Start();
  ASSERT_TRUE(Await(first, &IsStarting));
  EXPECT_EQ(State(second), "QUEUED");
  executor_.AwaitLaunch(first);
  Attach(first);
  ASSERT_TRUE(Report(first, {Failure("DIVERGED", "NaN.")}).ok());
  executor_.Exit("process-1", "exited with code 1");
  ASSERT_TRUE(Await(second, &IsStarting));
}

TEST_F(JobDriverTest, ManyJobsRunToTheirEndFromManyThreads) {
  options_.total_cores = 4;
  options_.queue_capacity = 100;
  Boot();
  constexpr int kThreads = 4;
  constexpr int kJobs = 5;
  JobDriver driver(controller_.get());
  std::atomic<int> completed = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kJobs; ++i) {
        auto job = controller_->Start(Request());
        if (!job.ok()) continue;
        const std::string id = job->name().substr(5);
        const std::string handle = executor_.AwaitLaunch(id);
        if (!Await(id, &IsStarting)) continue;
        auto link = std::make_shared<FakeLink>();
        if (!controller_->Attach(Hello(id), link).ok()) continue;
        std::vector<worker::v1::WorkerEvent> events = {Phase(worker::v1::PHASE_PREPARING),
                                                       Phase(worker::v1::PHASE_TRAINING),
                                                       Step(1, 1), Epoch(1), Outcome()};
        for (std::size_t e = 0; e < events.size(); ++e) events[e].set_number(e + 1);
        if (!controller_->Report(id, 1, events).ok()) continue;
        executor_.Exit(handle, "exited with code 0");
        completed += controller_->Get(id)->state() == v1::JOB_STATE_COMPLETED;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(completed, kThreads * kJobs);
  EXPECT_EQ(controller_->Load().free_cores, 4);
}

}  // namespace
}  // namespace atelier::jobs
