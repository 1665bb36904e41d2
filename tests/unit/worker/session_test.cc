#include "server/worker/session.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/worker/fake_worker_server.h"
#include "tests/unit/worker/small_events.h"

namespace atelier::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SessionTest : public ::testing::Test {
 protected:
  void Open() {
    options_.server.address = server_.address();
    options_.hello.set_job("a-job");
    options_.hello.set_attempt(1);
    options_.hello.set_token("the token");
    options_.max_backoff = absl::Milliseconds(50);
    options_.on_command = [this](Command command) {
      absl::MutexLock lock(&mutex_);
      commands_.push_back(command);
    };
    session_ = std::make_unique<Session>(options_);
  }

  std::vector<Command> commands() {
    absl::MutexLock lock(&mutex_);
    return commands_;
  }
  bool AwaitCommand(Command command) {
    return server_.Await([&] {
      const std::vector<Command> now = commands();
      return std::find(now.begin(), now.end(), command) != now.end();
    });
  }
  std::vector<int> StoredEpochs() {
    std::vector<int> epochs;
    for (const v1::WorkerEvent& event : server_.events()) epochs.push_back(event.epoch().epoch());
    return epochs;
  }

  FakeWorkerServer server_;
  Session::Options options_;
  absl::Mutex mutex_;
  std::vector<Command> commands_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, ReceivesItsAssignment) {
  server_.Set([](auto* behaviour) { behaviour->assignment.set_attempt_dir("/the/attempt"); });
  server_.Start();
  Open();
  const std::optional<v1::Assignment> assignment = session_->AwaitAssignment();
  ASSERT_TRUE(assignment.has_value());
  EXPECT_EQ(assignment->attempt_dir(), "/the/attempt");
}

TEST_F(SessionTest, DeliversEventsInOrder) {
  server_.Start();
  Open();
  for (int epoch = 1; epoch <= 1000; ++epoch) session_->Send(Epoch(epoch));
  ASSERT_TRUE(session_->AwaitDelivered());
  std::vector<int> expected(1000);
  for (int i = 0; i < 1000; ++i) expected[static_cast<std::size_t>(i)] = i + 1;
  EXPECT_EQ(StoredEpochs(), expected);
  EXPECT_GT(server_.events()[0].time().seconds(), 0);
}

TEST_F(SessionTest, SendsNothingTwiceThatIsStoredThoughNotAcknowledged) {
  server_.Set([](auto* behaviour) { behaviour->acknowledges = false; });
  server_.Start();
  Open();
  session_->Send(Epoch(1));
  ASSERT_TRUE(server_.Await([&] { return server_.dials() >= 2; }));
  server_.Set([](auto* behaviour) { behaviour->acknowledges = true; });
  session_->Send(Epoch(2));
  ASSERT_TRUE(session_->AwaitDelivered());
  EXPECT_THAT(StoredEpochs(), ElementsAre(1, 2));
}

TEST_F(SessionTest, SendsAgainWhatWasNotStored) {
  server_.Set([](auto* behaviour) { behaviour->stores = false; });
  server_.Start();
  Open();
  session_->Send(Epoch(1));
  session_->Send(Epoch(2));
  ASSERT_TRUE(server_.Await([&] { return server_.dials() >= 3; }));
  server_.Set([](auto* behaviour) { behaviour->stores = true; });
  ASSERT_TRUE(session_->AwaitDelivered());
  EXPECT_THAT(StoredEpochs(), ElementsAre(1, 2));
}

TEST_F(SessionTest, GoesOnAfterTheServerIsRestarted) {
  server_.Start();
  Open();
  session_->Send(Epoch(1));
  ASSERT_TRUE(session_->AwaitDelivered());
  server_.Stop();
  session_->Send(Epoch(2));
  EXPECT_FALSE(session_->AwaitDelivered(absl::ZeroDuration()));
  server_.Start();
  ASSERT_TRUE(session_->AwaitDelivered());
  EXPECT_THAT(StoredEpochs(), ElementsAre(1, 2));
  EXPECT_THAT(commands(), IsEmpty());
}

TEST_F(SessionTest, DropsTheOldestSamplesWhileTheServerIsAway) {
  options_.outbox.samples = 2;
  Open();
  for (int step = 1; step <= 10; ++step) session_->Send(Step(step));
  session_->Send(Epoch(1));
  server_.Start();
  ASSERT_TRUE(session_->AwaitDelivered());
  const std::vector<v1::WorkerEvent> events = server_.events();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].step().step(), 9);
  EXPECT_EQ(events[1].step().step(), 10);
  EXPECT_EQ(events[2].epoch().epoch(), 1);
}

TEST_F(SessionTest, PassesCommandsOn) {
  server_.Start();
  Open();
  v1::AttachResponse response;
  response.mutable_stop();
  server_.Send(response);
  EXPECT_TRUE(AwaitCommand(Command::kStop));
  response.mutable_suspend();
  server_.Send(response);
  EXPECT_TRUE(AwaitCommand(Command::kSuspend));
}

TEST_F(SessionTest, EndsWhenTheServerIsGoneForItsLease) {
  server_.Set([](auto* behaviour) { behaviour->lease = absl::Milliseconds(300); });
  server_.Start();
  Open();
  ASSERT_TRUE(session_->AwaitAssignment().has_value());
  server_.Stop();
  EXPECT_TRUE(AwaitCommand(Command::kLeaseOver));
  EXPECT_EQ(session_->end().code(), absl::StatusCode::kDeadlineExceeded);
  session_->Send(Epoch(1));
  EXPECT_TRUE(session_->AwaitDelivered());  // Nothing is taken any more.
}

TEST_F(SessionTest, EndsWhenTheServerIsNeverThere) {
  options_.first_contact = absl::Milliseconds(200);
  Open();
  session_->Send(Epoch(1));
  EXPECT_FALSE(session_->AwaitAssignment().has_value());
  EXPECT_FALSE(session_->AwaitDelivered());
  EXPECT_TRUE(AwaitCommand(Command::kLeaseOver));
}

TEST_F(SessionTest, DoesNotDialAgainWhenItIsNotWanted) {
  for (const auto code : {grpc::StatusCode::ABORTED, grpc::StatusCode::UNAUTHENTICATED,
                          grpc::StatusCode::NOT_FOUND, grpc::StatusCode::INVALID_ARGUMENT}) {
    FakeWorkerServer server;
    server.Set([&](auto* behaviour) { behaviour->refusal = {code, "no"}; });
    server.Start();
    std::atomic<bool> unwanted = false;
    Session::Options options;
    options.server.address = server.address();
    options.hello.set_token("the token");
    options.on_command = [&](Command command) { unwanted = command == Command::kUnwanted; };
    Session session(options);
    EXPECT_FALSE(session.AwaitAssignment().has_value());
    EXPECT_TRUE(server.Await([&] { return unwanted.load(); })) << code;
    EXPECT_EQ(static_cast<int>(session.end().code()), static_cast<int>(code));
    EXPECT_EQ(server.dials(), 1);
  }
}

TEST_F(SessionTest, EndsInTheMiddleWhenItIsNoLongerWanted) {
  server_.Start();
  Open();
  ASSERT_TRUE(session_->AwaitAssignment().has_value());
  server_.Set([](auto* behaviour) {
    behaviour->refusal = {grpc::StatusCode::ABORTED, "another attempt runs"};
  });
  server_.Stop();
  server_.Start();
  EXPECT_TRUE(AwaitCommand(Command::kUnwanted));
}

TEST_F(SessionTest, DialsAgainWhenTheServerIsBusy) {
  server_.Set([](auto* behaviour) {
    behaviour->refusal = {grpc::StatusCode::UNAVAILABLE, "stopping"};
  });
  server_.Start();
  Open();
  ASSERT_TRUE(server_.Await([&] { return server_.dials() >= 2; }));
  server_.Set([](auto* behaviour) { behaviour->refusal = grpc::Status::OK; });
  EXPECT_TRUE(session_->AwaitAssignment().has_value());
}

TEST_F(SessionTest, SaysThatItLivesWhenNothingHappens) {
  server_.Set([](auto* behaviour) { behaviour->lease = absl::Milliseconds(400); });
  server_.Start();
  Open();
  EXPECT_TRUE(server_.Await([&] { return server_.heartbeats() >= 5; }));
  EXPECT_EQ(server_.dials(), 1);
  EXPECT_TRUE(session_->end().ok());
}

TEST_F(SessionTest, DialsAgainWhenTheServerFallsSilent) {
  server_.Set([](auto* behaviour) {
    behaviour->lease = absl::Seconds(1);
    behaviour->answers = false;
  });
  server_.Start();
  Open();
  session_->Send(Epoch(1));
  ASSERT_TRUE(server_.Await([&] { return server_.dials() >= 2; }));
  server_.Set([](auto* behaviour) { behaviour->answers = true; });
  EXPECT_TRUE(session_->AwaitDelivered());
  EXPECT_TRUE(session_->end().ok());
}

TEST_F(SessionTest, IsNotToldOfARefusalAfterItsLastEvent) {
  server_.Set([](auto* behaviour) { behaviour->aborts_after = true; });
  server_.Start();
  Open();
  v1::WorkerEvent event;
  event.mutable_suspended();
  session_->Send(event);
  EXPECT_TRUE(session_->AwaitDelivered());
  session_ = nullptr;
  EXPECT_THAT(commands(), IsEmpty());
}

TEST_F(SessionTest, CountsBytes) {
  server_.Start();
  Open();
  ASSERT_TRUE(session_->AwaitAssignment().has_value());
  const Session::Traffic before = session_->traffic();
  session_->Send(Epoch(1));
  ASSERT_TRUE(session_->AwaitDelivered());
  const Session::Traffic after = session_->traffic();
  EXPECT_GT(after.sent_bytes, before.sent_bytes + 10);
  EXPECT_GT(after.received_bytes, before.received_bytes + 5);
  EXPECT_LT(after.sent_bytes, before.sent_bytes + 100);
}

TEST_F(SessionTest, ClosesWhileTheServerIsAway) {
  Open();
  session_->Send(Epoch(1));
  session_ = nullptr;
}

}  // namespace
}  // namespace atelier::worker
