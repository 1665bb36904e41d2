#include "server/rpc/call_interceptor.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "gtest/gtest.h"
#include "server/rpc/inference_service.h"
#include "tests/unit/rpc/rpc_test_server.h"

namespace atelier::rpc {
namespace {

// Writes down what it is told, `Service/Method code`.
class Calls final : public CallObserver {
 public:
  MethodObserver* Observe(const std::string& service, const std::string& method,
                          CallType type) override {
    auto& observer = methods_[absl::StrCat(service, "/", method)];
    observer = std::make_unique<Method>(this, method, type);
    return observer.get();
  }

  bool observes(const std::string& path) const { return methods_.contains(path); }
  CallType type(const std::string& path) const { return methods_.at(path)->type; }
  int begun() const {
    absl::MutexLock lock(&mutex_);
    return begun_;
  }
  // Waits until so many calls have ended and answers with them.
  std::vector<std::string> AwaitEnded(std::size_t count) const {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return ended_.size() >= count;
    };
    mutex_.Await(absl::Condition(&enough));
    return ended_;
  }

 private:
  struct Method final : public MethodObserver {
    Method(Calls* its_calls, std::string its_name, CallType its_type)
        : calls(its_calls), name(std::move(its_name)), type(its_type) {}
    void Begun() override {
      absl::MutexLock lock(&calls->mutex_);
      ++calls->begun_;
    }
    void Ended(absl::StatusCode code, absl::Duration duration) override {
      EXPECT_GE(duration, absl::ZeroDuration());
      absl::MutexLock lock(&calls->mutex_);
      calls->ended_.push_back(absl::StrCat(name, " ", absl::StatusCodeToString(code)));
    }

    Calls* const calls;
    const std::string name;
    const CallType type;
  };

  std::map<std::string, std::unique_ptr<Method>> methods_;
  mutable absl::Mutex mutex_;
  int begun_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::string> ended_ ABSL_GUARDED_BY(mutex_);
};

// A service with two methods: Check answers with what it is asked for, Watch until it is cancelled.
class FakeHealth final : public grpc::health::v1::Health::CallbackService {
 public:
  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(request->service().empty()
                        ? grpc::Status::OK
                        : grpc::Status(grpc::StatusCode::NOT_FOUND, "no such service"));
    return reactor;
  }

  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext*, const grpc::health::v1::HealthCheckRequest*) override {
    class Reactor final : public grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse> {
     public:
      Reactor() { StartSendInitialMetadata(); }
      void OnCancel() override { Finish(grpc::Status::CANCELLED); }
      void OnDone() override { delete this; }
    };
    return new Reactor;
  }
};

class CallInterceptorTest : public testing::Test {
 protected:
  CallInterceptorTest() {
    auto server = GrpcServer::Start({.address = "127.0.0.1:0",
                                     .credentials = grpc::InsecureServerCredentials(),
                                     .calls = &calls_},
                                    {{"grpc.health.v1.Health", &health_}});
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    stub_ = grpc::health::v1::Health::NewStub(channel_);
  }

  void Check(const std::string& service) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    grpc::health::v1::HealthCheckResponse response;
    stub_->Check(&context, request, &response);
  }
  using Lines = std::vector<std::string>;

  Calls calls_;
  FakeHealth health_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<grpc::health::v1::Health::Stub> stub_;
};

TEST_F(CallInterceptorTest, TellsOfCallsAndTheirCodes) {
  Check("");
  Check("nothing");
  Lines ended = calls_.AwaitEnded(2);
  std::sort(ended.begin(), ended.end());
  EXPECT_EQ(ended, (Lines{"Check NOT_FOUND", "Check OK"}));
  EXPECT_EQ(calls_.begun(), 2);
}

TEST_F(CallInterceptorTest, AStreamEndsWhenItIsCancelled) {
  grpc::ClientContext context;
  const auto stream = stub_->Watch(&context, {});
  stream->WaitForInitialMetadata();
  EXPECT_EQ(calls_.begun(), 1);
  EXPECT_EQ(calls_.AwaitEnded(0), Lines{});
  context.TryCancel();
  EXPECT_EQ(calls_.AwaitEnded(1), (Lines{"Watch CANCELLED"}));
}

TEST_F(CallInterceptorTest, TellsTheTypesOfMethods) {
  EXPECT_EQ(calls_.type("grpc.health.v1.Health/Check"), CallType::kUnary);
  EXPECT_EQ(calls_.type("grpc.health.v1.Health/Watch"), CallType::kServerStream);
}

TEST_F(CallInterceptorTest, CallsOfUnknownMethodsAreToldToNobody) {
  grpc::GenericStub stub(channel_);
  for (const char* path : {"/grpc.health.v1.Health/Nothing", "/no.Service/Get"}) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    grpc::Slice slice("");
    auto call = stub.PrepareUnaryCall(&context, path, grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer received;
    grpc::Status status;
    call->Finish(&received, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  }
  Check("");
  EXPECT_EQ(calls_.AwaitEnded(1), (Lines{"Check OK"}));
  EXPECT_EQ(calls_.begun(), 1);
}

TEST(CallInterceptorServicesTest, HealthAndReflectionCountAsWell) {
  Calls calls;
  InferenceService service(nullptr);
  const auto server = GrpcServer::Start({.address = "127.0.0.1:0",
                                         .credentials = grpc::InsecureServerCredentials(),
                                         .public_services = true,
                                         .calls = &calls},
                                        {{"atelier.v1.InferenceService", &service}});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_TRUE(calls.observes("atelier.v1.InferenceService/Classify"));
  EXPECT_EQ(calls.type("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
            CallType::kBidiStream);
  const auto stub = grpc::health::v1::Health::NewStub(
      grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_TRUE(stub->Check(&context, {}, &response).ok());
  EXPECT_EQ(calls.AwaitEnded(1), (std::vector<std::string>{"Check OK"}));
}

}  // namespace
}  // namespace atelier::rpc
