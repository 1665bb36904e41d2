// A server for workers' sessions in this process, on a socket of its own, that can be told to
// misbehave. Thread-safe.
#ifndef ATELIER_TESTS_UNIT_WORKER_FAKE_WORKER_SERVER_H_
#define ATELIER_TESTS_UNIT_WORKER_FAKE_WORKER_SERVER_H_

#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "atelier/worker/v1/worker_service.grpc.pb.h"
#include "google/protobuf/util/time_util.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"

namespace atelier::worker {

class FakeWorkerServer final : public v1::WorkerService::Service {
 public:
  struct Behaviour {
    v1::Assignment assignment;
    absl::Duration lease = absl::Seconds(20);
    grpc::Status refusal;       // Answer to every hello, unless OK.
    bool stores = true;         // False: ends the call at a report, storing nothing of it.
    bool acknowledges = true;   // False: ends the call after storing a report.
    bool answers = true;        // False: says nothing after the assignment.
    bool aborts_after = false;  // Ends the call as not wanted after the attempt's last event.
    // Answer to a worker that asks for files; it has none.
    grpc::Status files = {grpc::StatusCode::UNIMPLEMENTED, "no files"};
  };

  FakeWorkerServer() {
    std::string pattern = ::testing::TempDir() + "/server-XXXXXX";
    dir_ = mkdtemp(pattern.data());
  }
  ~FakeWorkerServer() override {
    Stop();
    rmdir(dir_.c_str());
  }

  std::string address() const { return "unix:" + dir_ + "/socket"; }

  void Start() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void Stop() {
    if (server_ == nullptr) return;
    {
      absl::MutexLock lock(&mutex_);
      ++generation_;  // Lets silent calls go.
    }
    server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
    unlink((dir_ + "/socket").c_str());
  }

  void Set(const std::function<void(Behaviour*)>& change) {
    absl::MutexLock lock(&mutex_);
    change(&behaviour_);
    ++generation_;
  }

  // Sends a command on the connection there is.
  void Send(const v1::AttachResponse& response) {
    absl::MutexLock lock(&mutex_);
    const auto connected = [this]()
                               ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stream_ != nullptr; };
    mutex_.Await(absl::Condition(&connected));
    EXPECT_TRUE(stream_->Write(response));
  }

  int dials() const {
    absl::MutexLock lock(&mutex_);
    return dials_;
  }
  int heartbeats() const {
    absl::MutexLock lock(&mutex_);
    return heartbeats_;
  }
  std::vector<v1::WorkerEvent> events() const {
    absl::MutexLock lock(&mutex_);
    return events_;
  }

  // What a worker sent of its log.
  std::string log() const {
    absl::MutexLock lock(&mutex_);
    return log_;
  }

  // Waits until `condition` of this server's own methods holds; false after half a minute.
  bool Await(const std::function<bool()>& condition) const {
    for (const absl::Time end = absl::Now() + absl::Seconds(30); !condition();) {
      if (absl::Now() > end) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return true;
  }

  // Waits for an event of a kind, the newest of which it answers with.
  v1::WorkerEvent AwaitEvent(v1::WorkerEvent::EventCase kind) const {
    v1::WorkerEvent found;
    EXPECT_TRUE(Await([&] {
      for (const v1::WorkerEvent& event : events()) {
        if (event.event_case() == kind) found = event;
      }
      return found.event_case() == kind;
    })) << "no event of kind "
        << kind;
    return found;
  }

 private:
  using Stream = grpc::ServerReaderWriter<v1::AttachResponse, v1::AttachRequest>;

  grpc::Status Attach(grpc::ServerContext* context, Stream* stream) override {
    v1::AttachRequest request;
    EXPECT_TRUE(stream->Read(&request) && request.has_hello());
    v1::AttachResponse response;
    {
      absl::MutexLock lock(&mutex_);
      ++dials_;
      EXPECT_EQ(request.hello().token(), "the token");
      if (!behaviour_.refusal.ok()) return behaviour_.refusal;
      *response.mutable_assignment() = behaviour_.assignment;
      response.mutable_assignment()->set_acknowledged(static_cast<std::int64_t>(events_.size()));
      *response.mutable_assignment()->mutable_lease() =
          google::protobuf::util::TimeUtil::MillisecondsToDuration(
              absl::ToInt64Milliseconds(behaviour_.lease));
      stream->Write(response);
      stream_ = stream;
    }
    grpc::Status status;
    while (status.ok() && stream->Read(&request)) {
      absl::MutexLock lock(&mutex_);
      status = Handle(request, stream, context);
    }
    absl::MutexLock lock(&mutex_);
    if (stream_ == stream) stream_ = nullptr;
    return status;
  }

  grpc::Status ListFiles(grpc::ServerContext* /*context*/, const v1::ListFilesRequest* /*request*/,
                         v1::ListFilesResponse* /*response*/) override {
    absl::MutexLock lock(&mutex_);
    return behaviour_.files;
  }

  grpc::Status WriteFile(grpc::ServerContext* /*context*/, const v1::WriteFileRequest* request,
                         v1::WriteFileResponse* response) override {
    absl::MutexLock lock(&mutex_);
    EXPECT_EQ(request->file().kind(), v1::FILE_KIND_LOG);
    if (request->offset() == static_cast<std::int64_t>(log_.size())) log_ += request->data();
    response->set_received_bytes(static_cast<std::int64_t>(log_.size()));
    return grpc::Status::OK;
  }

  grpc::Status Handle(const v1::AttachRequest& request, Stream* stream,
                      grpc::ServerContext* context) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!behaviour_.answers) {
      const int generation = generation_;
      const auto released = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
        return generation != generation_ || context->IsCancelled();
      };
      while (!released())
        mutex_.AwaitWithTimeout(absl::Condition(&released), absl::Milliseconds(5));
      return {grpc::StatusCode::UNAVAILABLE, "silent"};
    }
    if (request.has_heartbeat()) ++heartbeats_;
    if (request.has_report() && !behaviour_.stores) {
      return {grpc::StatusCode::UNAVAILABLE, "stores nothing"};
    }
    bool last = false;
    for (const v1::WorkerEvent& event : request.report().events()) {
      const auto next = static_cast<std::int64_t>(events_.size()) + 1;
      EXPECT_LE(event.number(), next) << "a gap";
      if (event.number() == next) events_.push_back(event);
      last |= event.has_suspended() || event.has_outcome() || event.has_failure() ||
              event.has_stopped_empty();
    }
    if (!behaviour_.acknowledges) return {grpc::StatusCode::UNAVAILABLE, "breaks off"};
    v1::AttachResponse response;
    response.mutable_acknowledge()->set_number(static_cast<std::int64_t>(events_.size()));
    stream->Write(response);
    if (last && behaviour_.aborts_after) return {grpc::StatusCode::ABORTED, "not wanted"};
    return grpc::Status::OK;
  }

  std::string dir_;
  std::unique_ptr<grpc::Server> server_;
  mutable absl::Mutex mutex_;
  Behaviour behaviour_ ABSL_GUARDED_BY(mutex_);
  int generation_ ABSL_GUARDED_BY(mutex_) = 0;
  int dials_ ABSL_GUARDED_BY(mutex_) = 0;
  int heartbeats_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::WorkerEvent> events_ ABSL_GUARDED_BY(mutex_);
  std::string log_ ABSL_GUARDED_BY(mutex_);
  Stream* stream_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace atelier::worker

#endif  // ATELIER_TESTS_UNIT_WORKER_FAKE_WORKER_SERVER_H_
