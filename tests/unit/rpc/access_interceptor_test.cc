// Calls of every kind, with tokens and without, over a real channel.
#include "server/rpc/access_interceptor.h"

#include <atomic>
#include <fstream>
#include <thread>

#include "atelier/v1/training_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "proto/access/token.h"
#include "server/base/mutex.h"
#include "server/base/system_clock.h"
#include "server/rpc/unary.h"
#include "tests/unit/rpc/rpc_test_server.h"
#include "tests/unit/store/temporary_folder.h"
#include "tests/unit/wait.h"

namespace atelier::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// Says who calls. DeleteJob forgets to ask whether the call is admitted.
class WhoCalls final : public v1::TrainingService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context, const v1::GetJobRequest*,
                                   v1::TrainingJob* response) override {
    return Answer(context, response);
  }
  grpc::ServerUnaryReactor* StopJob(grpc::CallbackServerContext* context, const v1::StopJobRequest*,
                                    v1::TrainingJob* response) override {
    return Answer(context, response);
  }
  grpc::ServerUnaryReactor* DeleteJob(grpc::CallbackServerContext* context,
                                      const v1::DeleteJobRequest*,
                                      google::protobuf::Empty*) override {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  // Finishes the calls that were held.
  void Release() {
    std::vector<grpc::ServerUnaryReactor*> calls;
    {
      MutexLock lock(&mutex_);
      calls.swap(waiting_);
    }
    for (grpc::ServerUnaryReactor* call : calls) call->Finish(grpc::Status::OK);
  }

  int handled = 0;
  std::atomic<int> held = 0;  // So many of the next calls wait for Release.

 private:
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                   v1::TrainingJob* response) {
    const auto caller = CallerOf(*context);
    return BeginUnary(context, [&](grpc::ServerUnaryReactor* reactor) {
      ++handled;
      response->set_name(caller->name);
      MutexLock lock(&mutex_);
      if (held == 0) return reactor->Finish(grpc::Status::OK);
      waiting_.push_back(reactor);
      --held;
    });
  }

  Mutex mutex_;
  std::vector<grpc::ServerUnaryReactor*> waiting_ ABSL_GUARDED_BY(mutex_);
};

class AccessInterceptorTest : public testing::Test {
 protected:
  AccessInterceptorTest() {
    std::ofstream(file_) << Line("alice", access::Role::kViewer, alice_)
                         << Line("root", access::Role::kAdmin, root_);
    Start({.file = file_});
  }

  static std::string Line(const std::string& name, access::Role role,
                          const access::NewToken& token) {
    return access::WithToken("",
                             {.name = name, .role = role, .id = token.id, .sha256 = token.sha256});
  }

  void Start(access::Gatekeeper::Options options) {
    server_.reset();
    auto gatekeeper = access::Gatekeeper::Open(std::move(options), &clock_);
    ASSERT_TRUE(gatekeeper.ok()) << gatekeeper.status();
    gatekeeper_ = *std::move(gatekeeper);
    if (audit_ == nullptr) {
      auto audit = access::AuditLog::Open({.files = {.folder = folder_ / "audit"}});
      ASSERT_TRUE(audit.ok()) << audit.status();
      audit_ = *std::move(audit);
    }
    auto server = GrpcServer::Start({.address = "127.0.0.1:0",
                                     .credentials = grpc::InsecureServerCredentials(),
                                     .public_services = true,
                                     .gatekeeper = gatekeeper_.get(),
                                     .audit = audit_.get()},
                                    {{"atelier.v1.TrainingService", &service_}});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
    stub_ = v1::TrainingService::NewStub(channel_);
  }

  static void Show(const std::string& token, grpc::ClientContext* context) {
    if (!token.empty()) context->AddMetadata("authorization", "Bearer " + token);
  }

  // Who GetJob takes the caller for.
  grpc::Status GetJob(const std::string& token, std::string* name = nullptr) {
    grpc::ClientContext context;
    Show(token, &context);
    v1::TrainingJob job;
    const grpc::Status status = stub_->GetJob(&context, v1::GetJobRequest(), &job);
    if (name != nullptr) *name = job.name();
    return status;
  }

  store::TemporaryFolder folder_;
  const std::string file_ = folder_ / "access";
  const access::NewToken alice_ = access::MakeToken();
  const access::NewToken root_ = access::MakeToken();
  SystemClock clock_;
  WhoCalls service_;
  std::unique_ptr<access::Gatekeeper> gatekeeper_;
  std::unique_ptr<access::AuditLog> audit_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::TrainingService::Stub> stub_;
};

TEST_F(AccessInterceptorTest, HandlersKnowWhoCalls) {
  std::string name;
  EXPECT_TRUE(GetJob(alice_.text, &name).ok());
  EXPECT_EQ(name, "alice");
  EXPECT_TRUE(GetJob(root_.text, &name).ok());
  EXPECT_EQ(name, "root");
}

TEST_F(AccessInterceptorTest, StrangersReachNoHandlerAndHearWhatToDo) {
  const grpc::Status status = GetJob("");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(DetailsOf(status).reason, "NO_CREDENTIALS");
  EXPECT_EQ(DetailsOf(status).domain, "atelier");
  EXPECT_THAT(status.error_message(), HasSubstr("--token-file"));
  EXPECT_EQ(DetailsOf(GetJob(access::MakeToken().text)).reason, "UNKNOWN_TOKEN");
  EXPECT_EQ(service_.handled, 0);
}

TEST_F(AccessInterceptorTest, ARoleThatIsTooLowIsRefused) {
  grpc::ClientContext context;
  Show(alice_.text, &context);
  v1::TrainingJob job;
  const grpc::Status status = stub_->StopJob(&context, v1::StopJobRequest(), &job);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(DetailsOf(status).reason, "ROLE_NEEDED");
  EXPECT_THAT(status.error_message(), HasSubstr("StopJob needs the role operator, but alice has"));
  EXPECT_EQ(service_.handled, 0);
}

TEST_F(AccessInterceptorTest, WhatAHandlerThatForgotToAskAnswersIsReplaced) {
  grpc::ClientContext context;
  google::protobuf::Empty empty;
  const grpc::Status status = stub_->DeleteJob(&context, v1::DeleteJobRequest(), &empty);
  EXPECT_EQ(DetailsOf(status).reason, "NO_CREDENTIALS");
}

TEST_F(AccessInterceptorTest, HealthAnswersAnybodyAndReflectionOnlyCallers) {
  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_TRUE(grpc::health::v1::Health::NewStub(channel_)->Check(&context, {}, &response).ok());

  grpc::GenericStub stub(channel_);
  const auto reflect = [&](const std::string& token) {
    grpc::ClientContext stream_context;
    Show(token, &stream_context);
    grpc::CompletionQueue queue;
    const auto next = [&] {
      void* tag = nullptr;
      bool ok = false;
      queue.Next(&tag, &ok);
      return ok;
    };
    auto call = stub.PrepareCall(
        &stream_context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
    call->StartCall(nullptr);
    next();
    call->WritesDone(nullptr);
    next();
    grpc::Status status;
    call->Finish(&status, nullptr);
    next();
    return status;
  };
  EXPECT_TRUE(reflect(alice_.text).ok());
  const grpc::Status refused = reflect("");
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(DetailsOf(refused).reason, "NO_CREDENTIALS");
  EXPECT_THAT(refused.error_message(), HasSubstr("--token-file"));
}

TEST_F(AccessInterceptorTest, CallsBeyondALimitAreRefusedToTheirCallerAlone) {
  std::ofstream(file_, std::ios::app) << "limit viewer calls=2\n";
  Start({.file = file_});
  service_.held = 2;
  std::vector<std::thread> calls;
  for (int i = 0; i < 2; ++i) {
    calls.emplace_back([this] { EXPECT_TRUE(GetJob(alice_.text).ok()); });
  }
  ASSERT_TRUE(WaitFor([this] { return service_.held == 0; }));
  const grpc::Status refused = GetJob(alice_.text);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(DetailsOf(refused).reason, "CALLER_LIMIT");
  EXPECT_THAT(refused.error_message(), HasSubstr("alice would have 3 calls in flight"));
  EXPECT_TRUE(GetJob(root_.text).ok());
  service_.Release();
  for (std::thread& call : calls) call.join();
  EXPECT_TRUE(WaitFor([this] { return GetJob(alice_.text).ok(); }));
}

TEST_F(AccessInterceptorTest, OpenConnectionsFollowTheFile) {
  EXPECT_TRUE(GetJob(alice_.text).ok());
  const access::NewToken carol = access::MakeToken();
  store::WriteFile(file_, Line("carol", access::Role::kViewer, carol));
  gatekeeper_->Tick();
  EXPECT_EQ(DetailsOf(GetJob(alice_.text)).reason, "UNKNOWN_TOKEN");
  EXPECT_TRUE(GetJob(carol.text).ok());
}

TEST_F(AccessInterceptorTest, ChangesAndRefusalsOfCallersAreInTheAuditLog) {
  const auto stop = [this](const std::string& token) {
    grpc::ClientContext context;
    Show(token, &context);
    v1::StopJobRequest request;
    request.set_name("jobs/a");
    v1::TrainingJob job;
    stub_->StopJob(&context, request, &job).ok();
  };
  EXPECT_TRUE(GetJob(alice_.text).ok());
  stop(root_.text);
  stop(alice_.text);
  stop("");
  const auto lines = [this] {
    std::vector<std::string> found;
    const auto page = audit_->List({});
    for (const v1::AuditEntry& entry : page->entries()) {
      EXPECT_THAT(entry.peer(), HasSubstr("127.0.0.1"));
      EXPECT_GT(entry.time().seconds(), 1'700'000'000);
      found.push_back(absl::StrCat(entry.caller(), " ", entry.role(), " ", entry.method(), " ",
                                   entry.resource(), " ", entry.code()));
    }
    return found;
  };
  ASSERT_TRUE(WaitFor([&] { return lines().size() == 2; }));
  EXPECT_THAT(lines(),
              UnorderedElementsAre("root admin atelier.v1.TrainingService/StopJob jobs/a OK",
                                   "alice viewer atelier.v1.TrainingService/StopJob jobs/a "
                                   "PERMISSION_DENIED"));
}

TEST_F(AccessInterceptorTest, ManyGuessesAtOnceAreRefusedWithoutWaiting) {
  // Every guess waits longer than it takes to make all of them.
  Start({.file = file_, .failures = {.free = 0, .delay = absl::Seconds(5)}});
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  grpc::CompletionQueue queue;
  struct Guess {
    v1::TrainingJob job;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<v1::TrainingJob>> reader;
  };
  std::vector<std::unique_ptr<Guess>> guesses;
  const std::string token = access::MakeToken().text;
  for (int i = 0; i < 257; ++i) {
    auto& context = contexts.emplace_back(std::make_unique<grpc::ClientContext>());
    Show(token, context.get());
    auto& guess = guesses.emplace_back(std::make_unique<Guess>());
    guess->reader = stub_->AsyncGetJob(context.get(), {}, &queue);
    guess->reader->Finish(&guess->job, &guess->status, guess.get());
  }
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  EXPECT_EQ(DetailsOf(static_cast<Guess*>(tag)->status).reason, "TOO_MANY_ATTEMPTS");
  EXPECT_TRUE(DetailsOf(static_cast<Guess*>(tag)->status).retry);
  EXPECT_TRUE(GetJob(alice_.text).ok()) << "who shows a token waits for nobody";
  for (auto& context : contexts) context->TryCancel();
  for (int i = 1; i < 257; ++i) queue.Next(&tag, &ok);
}

TEST(AccessRulesTest, AServiceWithoutRulesDoesNotStart) {
  EXPECT_TRUE(CheckRules({"atelier.v1.TrainingService", "grpc.health.v1.Health"}).ok());
  const absl::Status status = CheckRules({"atelier.worker.v1.WorkerService"});
  EXPECT_TRUE(absl::IsInternal(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("WorkerService/Attach is not in the table"));
}

}  // namespace
}  // namespace atelier::rpc
