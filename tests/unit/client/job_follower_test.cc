#include "client/following/job_follower.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "client/calls/connection.h"
#include "gtest/gtest.h"
#include "tests/unit/client/fake_server.h"
#include "tests/unit/client/job_events.h"

namespace atelier::client {
namespace {

// Remembers what it was told, and runs a test's function at every event.
class Recorder : public JobFollower::Listener {
 public:
  void OnEvent(const v1::JobEvent& event) override {
    numbers.push_back(event.number());
    if (on_event) on_event(event);
  }
  void OnTick() override {
    if (on_tick) on_tick();
  }
  void OnWaiting(const v1::Waiting& waiting) override { reasons.push_back(waiting.reason()); }
  void OnConnectionLost() override {
    ++lost;
    if (on_lost) on_lost();
  }
  void OnConnectionRestored() override { ++restored; }

  std::vector<std::int64_t> numbers;
  std::vector<std::string> reasons;
  int lost = 0;
  int restored = 0;
  std::function<void(const v1::JobEvent&)> on_event;
  std::function<void()> on_tick;
  std::function<void()> on_lost;
};

class JobFollowerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto connection = Connection::Create(server_.address());
    ASSERT_TRUE(connection.ok());
    connection_ = *std::move(connection);
  }

  absl::Status Follow(absl::Duration patience = absl::Seconds(60)) {
    return JobFollower(connection_.get(), {.job = "jobs/x",
                                           .patience = patience,
                                           .tick = absl::Milliseconds(10),
                                           .interrupted = [this] { return interrupted_; }})
        .Follow(&recorder_);
  }

  // Numbers that the streams were asked to begin after.
  std::vector<std::int64_t> asked() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return asked_;
  }

  void Note(const v1::StreamMetricsRequest& request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    asked_.push_back(request.after_number());
  }

  FakeServer server_;
  std::unique_ptr<Connection> connection_;
  Recorder recorder_;
  bool interrupted_ = false;

 private:
  std::mutex mutex_;
  std::vector<std::int64_t> asked_;
};

using Writer = grpc::ServerWriter<v1::JobEvent>;

TEST_F(JobFollowerTest, SeesEveryEventInOrder) {
  server_.handlers.stream_metrics = [&](auto*, const auto& request, Writer* writer) {
    Note(request);
    for (int number = 1; number <= 100; ++number) writer->Write(MakeEvent(number));
    return grpc::Status::OK;
  };
  server_.Start();
  ASSERT_TRUE(Follow().ok());
  ASSERT_EQ(recorder_.numbers.size(), 100U);
  EXPECT_EQ(recorder_.numbers.back(), 100);
  EXPECT_EQ(recorder_.lost, 0);
  EXPECT_EQ(asked(), std::vector<std::int64_t>{0});
}

TEST_F(JobFollowerTest, HearsThatTheJobWaits) {
  server_.handlers.stream_metrics = [&](auto*, const auto&, Writer* writer) {
    writer->Write(MakeEvent(1));
    v1::JobEvent still;
    still.set_number(1);
    still.mutable_waiting()->set_reason("no memory");
    writer->Write(still);
    writer->Write(MakeEvent(2));
    return grpc::Status::OK;
  };
  server_.Start();
  ASSERT_TRUE(Follow().ok());
  EXPECT_EQ(recorder_.numbers, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(recorder_.reasons, (std::vector<std::string>{"no memory"}));
}

TEST_F(JobFollowerTest, GoesOnBehindTheLastEventAfterABreak) {
  server_.handlers.stream_metrics = [&](auto*, const auto& request, Writer* writer) {
    Note(request);
    if (request.after_number() == 0) {
      for (const int number : {1, 2, 5}) writer->Write(MakeEvent(number));
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
    }
    // A careless server repeats one that was seen.
    for (const int number : {5, 6, 7}) writer->Write(MakeEvent(number));
    return grpc::Status::OK;
  };
  server_.Start();
  ASSERT_TRUE(Follow().ok());
  EXPECT_EQ(recorder_.numbers, (std::vector<std::int64_t>{1, 2, 5, 6, 7}));
  EXPECT_EQ(asked(), (std::vector<std::int64_t>{0, 5}));
  EXPECT_EQ(recorder_.lost, 1);
  EXPECT_EQ(recorder_.restored, 1);
}

TEST_F(JobFollowerTest, SurvivesARestartOfTheServer) {
  server_.handlers.stream_metrics = [&](grpc::ServerContext* context, const auto& request,
                                        Writer* writer) {
    Note(request);
    if (request.after_number() == 2) {
      writer->Write(MakeEvent(3));
      return grpc::Status::OK;
    }
    for (const int number : {1, 2}) writer->Write(MakeEvent(number));
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  server_.Start();
  recorder_.on_event = [&](const v1::JobEvent& event) {
    if (event.number() == 2) server_.Stop();
  };
  recorder_.on_lost = [&] { server_.Start(); };
  ASSERT_TRUE(Follow().ok());
  EXPECT_EQ(recorder_.numbers, (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(recorder_.lost, 1);
  EXPECT_EQ(recorder_.restored, 1);
}

TEST_F(JobFollowerTest, GivesUpWhenTheServerStaysAway) {
  server_.handlers.stream_metrics = [&](auto*, const auto&, Writer* writer) {
    writer->Write(MakeEvent(1));
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
  };
  server_.Start();
  recorder_.on_lost = [&] { server_.Stop(); };
  const absl::Status status = Follow(absl::Milliseconds(300));
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(recorder_.lost, 1);
}

TEST_F(JobFollowerTest, AServerThatKeepsBreakingIsNotTriedForever) {
  server_.handlers.stream_metrics = [&](auto*, const auto&, Writer*) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "still loading");
  };
  server_.Start();
  EXPECT_TRUE(absl::IsUnavailable(Follow(absl::Milliseconds(300))));
  EXPECT_EQ(recorder_.lost, 1);
}

TEST_F(JobFollowerTest, AQuietJobIsNoLostConnection) {
  std::atomic<bool> finish = false;
  server_.handlers.stream_metrics = [&](auto*, const auto& request, Writer*) {
    Note(request);
    if (asked().size() == 1) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "going down");
    while (!finish) std::this_thread::yield();
    return grpc::Status::OK;
  };
  server_.Start();
  recorder_.on_tick = [&] { finish = recorder_.restored > 0; };
  EXPECT_TRUE(Follow(absl::Seconds(30)).ok());
  EXPECT_EQ(recorder_.restored, 1);
  EXPECT_TRUE(recorder_.numbers.empty());
}

TEST_F(JobFollowerTest, TheServersAnswerIsNotRetried) {
  server_.handlers.stream_metrics = [&](auto*, const auto& request, Writer*) {
    Note(request);
    return ErrorWithReason(grpc::StatusCode::NOT_FOUND, "JOB_NOT_FOUND", "There is no job x.");
  };
  server_.Start();
  EXPECT_TRUE(absl::IsNotFound(Follow()));
  EXPECT_EQ(asked().size(), 1U);
}

TEST_F(JobFollowerTest, AnInterruptionEndsIt) {
  server_.handlers.stream_metrics = [&](grpc::ServerContext* context, const auto&, Writer* writer) {
    writer->Write(MakeEvent(1));
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  server_.Start();
  recorder_.on_event = [this](const v1::JobEvent&) { interrupted_ = true; };
  EXPECT_TRUE(absl::IsCancelled(Follow()));
  EXPECT_EQ(recorder_.lost, 0);
}

}  // namespace
}  // namespace atelier::client
