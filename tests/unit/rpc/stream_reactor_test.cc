// Streams over a real channel, with sources that tests control.
#include "server/rpc/stream_reactor.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "atelier/v1/training_service.grpc.pb.h"
#include "gtest/gtest.h"
#include "server/jobs/error.h"
#include "tests/unit/rpc/rpc_test_server.h"

namespace atelier::rpc {
namespace {

// A stream's messages, as a test hands them out. Thread-safe.
struct Script {
  absl::Mutex mutex;
  std::deque<absl::StatusOr<Batch<v1::LogChunk>>> batches ABSL_GUARDED_BY(mutex);
  std::function<void()> wake ABSL_GUARDED_BY(mutex);
  int produced ABSL_GUARDED_BY(mutex) = 0;
  int sources ABSL_GUARDED_BY(mutex) = 0;
  bool endless ABSL_GUARDED_BY(mutex) = false;  // Produces for ever.

  void Hand(absl::StatusOr<Batch<v1::LogChunk>> batch) {
    std::function<void()> due;
    {
      absl::MutexLock lock(&mutex);
      batches.push_back(std::move(batch));
      due = std::exchange(wake, nullptr);
    }
    if (due) due();
  }
  void AwaitWaiting() {
    absl::MutexLock lock(&mutex);
    mutex.Await(absl::Condition(
        +[](std::function<void()>* function) { return *function != nullptr; }, &wake));
  }
  void AwaitSources(int count) {
    absl::MutexLock lock(&mutex);
    const auto gone = [this, count]()
                          ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { return sources == count; };
    mutex.Await(absl::Condition(&gone));
  }
  void NeverEnd() {
    absl::MutexLock lock(&mutex);
    endless = true;
  }
  int Produced() {
    absl::MutexLock lock(&mutex);
    return produced;
  }
};

std::shared_ptr<const v1::LogChunk> Chunk(const std::string& text) {
  auto chunk = std::make_shared<v1::LogChunk>();
  chunk->set_text(text);
  return chunk;
}

class ScriptedSource final : public StreamSource<v1::LogChunk> {
 public:
  explicit ScriptedSource(Script* script) : script_(script) {
    absl::MutexLock lock(&script_->mutex);
    ++script_->sources;
  }
  ~ScriptedSource() override {
    absl::MutexLock lock(&script_->mutex);
    --script_->sources;
  }

  absl::StatusOr<Batch<v1::LogChunk>> Produce() override {
    absl::MutexLock lock(&script_->mutex);
    if (script_->endless) {
      ++script_->produced;
      return Batch<v1::LogChunk>{{Chunk(std::string(1000, 'x'))}};
    }
    if (script_->batches.empty()) return Batch<v1::LogChunk>();
    auto batch = std::move(script_->batches.front());
    script_->batches.pop_front();
    return batch;
  }
  bool Await(std::function<void()> wake) override {
    absl::MutexLock lock(&script_->mutex);
    if (!script_->batches.empty()) return false;
    script_->wake = std::move(wake);
    return true;
  }
  bool TakeBack() override {
    absl::MutexLock lock(&script_->mutex);
    return std::exchange(script_->wake, nullptr) != nullptr;
  }
  std::shared_ptr<const v1::LogChunk> StillThere() override { return Chunk("still there"); }

 private:
  Script* const script_;
};

class ScriptedService final : public v1::TrainingService::CallbackService {
 public:
  explicit ScriptedService(StreamSet* streams) : streams_(streams) {}

  grpc::ServerWriteReactor<v1::LogChunk>* StreamLogs(
      grpc::CallbackServerContext* context, const v1::StreamLogsRequest* request) override {
    if (request->name() == "wrong") {
      return StreamReactor<v1::LogChunk>::Start(streams_, context,
                                                jobs::InvalidField("name", "wrong"));
    }
    Script& script = request->name() == "endless" ? endless : scripted;
    return StreamReactor<v1::LogChunk>::Start(streams_, context,
                                              std::make_unique<ScriptedSource>(&script));
  }

  Script scripted;
  Script endless;

 private:
  StreamSet* const streams_;
};

class StreamReactorTest : public testing::Test {
 protected:
  // One call, and what it reads.
  struct Call {
    Call(v1::TrainingService::Stub* stub, const std::string& name) {
      v1::StreamLogsRequest request;
      request.set_name(name);
      reader = stub->StreamLogs(&context, request);
    }
    std::string Read() {
      v1::LogChunk chunk;
      return reader->Read(&chunk) ? chunk.text() : "(end)";
    }
    grpc::Status Finish() { return reader->Finish(); }

    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<v1::LogChunk>> reader;
  };

  Call Start(const std::string& name = "") { return Call(stub_.get(), name); }

  explicit StreamReactorTest(absl::Duration silence = absl::Hours(1))
      : streams_({.threads = 1, .max_streams = 3, .memory = &memory_, .silence = silence}) {}

  CallMemory memory_{{.connection_bytes = 1 << 20, .all_bytes = 1 << 20}};
  StreamSet streams_;
  ScriptedService service_{&streams_};
  RpcTestServer server_{{{"service", &service_}}};
  std::unique_ptr<v1::TrainingService::Stub> stub_ =
      v1::TrainingService::NewStub(server_.channel());
};

TEST_F(StreamReactorTest, SendsBatchesInOrderAndEndsOk) {
  service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk("a"), Chunk("b")}});
  service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk("c")}, true});
  Call call = Start();
  for (const char* text : {"a", "b", "c"}) EXPECT_EQ(call.Read(), text);
  EXPECT_EQ(call.Read(), "(end)");
  EXPECT_TRUE(call.Finish().ok());
  service_.scripted.AwaitSources(0);
}

TEST_F(StreamReactorTest, WaitsAndGoesOnWhenWoken) {
  Call call = Start();
  for (const char* text : {"a", "b", "c"}) {
    service_.scripted.AwaitWaiting();
    service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk(text)}});
    EXPECT_EQ(call.Read(), text);
  }
  service_.scripted.AwaitWaiting();
  service_.scripted.Hand(Batch<v1::LogChunk>{{}, true});
  EXPECT_EQ(call.Read(), "(end)");
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(StreamReactorTest, EndsWithTheSourcesError) {
  service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk("a")}});
  service_.scripted.Hand(jobs::Error(absl::StatusCode::kNotFound, "JOB_NOT_FOUND", "gone"));
  Call call = Start();
  EXPECT_EQ(call.Read(), "a");
  EXPECT_EQ(call.Read(), "(end)");
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(DetailsOf(status).reason, "JOB_NOT_FOUND");
}

TEST_F(StreamReactorTest, ABadRequestEndsAtOnce) {
  Call call = Start("wrong");
  EXPECT_EQ(call.Read(), "(end)");
  EXPECT_TRUE(DetailsOf(call.Finish()).violations.contains("name"));
}

TEST_F(StreamReactorTest, ACancelledCallFreesItsSourceWhileItWaits) {
  Call call = Start();
  service_.scripted.AwaitWaiting();
  call.context.TryCancel();
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::CANCELLED);
  service_.scripted.AwaitSources(0);
}

TEST_F(StreamReactorTest, TheServersEndReachesThoseThatWait) {
  Call call = Start();
  service_.scripted.AwaitWaiting();
  streams_.EndAll(ServerStopping());
  EXPECT_EQ(call.Read(), "(end)");
  const grpc::Status status = call.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(DetailsOf(status).reason, "SHUTTING_DOWN");
  Call late = Start();
  EXPECT_EQ(late.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(StreamReactorTest, TheServersEndReachesThoseThatAreSent) {
  service_.endless.NeverEnd();
  Call call = Start("endless");
  EXPECT_NE(call.Read(), "(end)");
  streams_.EndAll(ServerStopping());
  while (call.Read() != "(end)") {
  }
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(StreamReactorTest, AReaderThatDoesNotReadHoldsLittleAndDelaysNobody) {
  service_.endless.NeverEnd();
  Call stuck = Start("endless");
  EXPECT_NE(stuck.Read(), "(end)");
  const auto other = v1::TrainingService::NewStub(server_.NewChannel());
  Call reading(other.get(), "");
  // gRPC takes what fits into its windows and buffers; then nothing more is produced, while the
  // other stream goes on.
  int before = -1;
  int rounds = 0;
  for (; before != service_.endless.Produced(); ++rounds) {
    before = service_.endless.Produced();
    ASSERT_LT(rounds, 100) << "it never stalls";
    for (int i = 0; i < 200; ++i) {
      service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk(std::string(1000, 'y'))}});
      ASSERT_NE(reading.Read(), "(end)");
    }
  }
  EXPECT_LT(service_.endless.Produced(), 10'000);
  stuck.context.TryCancel();
  service_.endless.AwaitSources(0);
  service_.scripted.Hand(Batch<v1::LogChunk>{{}, true});
  EXPECT_EQ(reading.Read(), "(end)");
}

TEST_F(StreamReactorTest, RefusesMoreStreamsThanTheSetTakes) {
  std::vector<std::unique_ptr<Call>> calls;
  service_.endless.NeverEnd();
  for (int i = 0; i < 3; ++i) {
    calls.push_back(std::make_unique<Call>(stub_.get(), "endless"));
    EXPECT_NE(calls.back()->Read(), "(end)");
  }
  Call fourth = Start("endless");
  const grpc::Status status = fourth.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(status).reason, "TOO_MANY_STREAMS");
  for (const auto& call : calls) call->context.TryCancel();
  service_.endless.AwaitSources(0);
}

TEST_F(StreamReactorTest, WhatAStreamSendsIsCounted) {
  service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk(std::string(700 << 10, 'x'))}});
  Call stuck = Start();  // Beyond what fits into gRPC's windows.
  while (memory_.held() == 0) absl::SleepFor(absl::Milliseconds(1));
  service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk(std::string(700 << 10, 'y'))}});
  Call second = Start();
  EXPECT_EQ(second.Read(), "(end)");
  EXPECT_EQ(DetailsOf(second.Finish()).reason, "TOO_MUCH_HELD");
  EXPECT_EQ(stuck.Read(), std::string(700 << 10, 'x'));
  while (memory_.held() != 0) absl::SleepFor(absl::Milliseconds(1));
  service_.scripted.AwaitWaiting();
  service_.scripted.Hand(Batch<v1::LogChunk>{{}, true});
  EXPECT_EQ(stuck.Read(), "(end)");
}

class SilentStreamTest : public StreamReactorTest {
 protected:
  SilentStreamTest() : StreamReactorTest(absl::Milliseconds(5)) {}
};

TEST_F(SilentStreamTest, SaysNowAndThenThatItIsStillThere) {
  Call call = Start();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(call.Read(), "still there");
  service_.scripted.AwaitWaiting();
  service_.scripted.Hand(Batch<v1::LogChunk>{{Chunk("news")}});
  std::string text;
  do text = call.Read();
  while (text == "still there");
  EXPECT_EQ(text, "news");
  EXPECT_EQ(call.Read(), "still there");
  service_.scripted.AwaitWaiting();
  service_.scripted.Hand(Batch<v1::LogChunk>{{}, true});
  do text = call.Read();
  while (text == "still there");
  EXPECT_EQ(text, "(end)");
  EXPECT_TRUE(call.Finish().ok());
}

TEST_F(SilentStreamTest, ACancelledOneFreesItsSource) {
  Call call = Start();
  EXPECT_EQ(call.Read(), "still there");
  call.context.TryCancel();
  while (call.Read() != "(end)") {
  }
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::CANCELLED);
  service_.scripted.AwaitSources(0);
}

}  // namespace
}  // namespace atelier::rpc
