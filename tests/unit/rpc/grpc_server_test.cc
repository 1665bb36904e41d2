#include "server/rpc/grpc_server.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/generic/generic_stub.h"
#include "server/rpc/inference_service.h"
#include "server/rpc/other_methods.h"
#include "tests/unit/models/temporary_folder.h"
#include "tests/unit/rpc/rpc_test_server.h"
#include "tests/unit/wait.h"

namespace atelier::rpc {
namespace {

using ::testing::HasSubstr;

// Calls a method with a message of these bytes and answers with the first message that comes back.
std::string CallRaw(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                    const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::Slice slice(request);
  grpc::ByteBuffer sent(&slice, 1);
  grpc::ByteBuffer received;
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, method, sent, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&received, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  if (!status.ok()) return status.error_message();
  std::vector<grpc::Slice> slices;
  received.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& part : slices) {
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return bytes;
}

// This process's threads of a name.
std::vector<id_t> ThreadsNamed(const std::string& wanted) {
  std::vector<id_t> threads;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm") >> std::ws, name);
    if (name == wanted) threads.push_back(std::stoi(thread.path().filename()));
  }
  return threads;
}

class GrpcServerTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<GrpcServer>> StartAt(const std::string& address) {
    return GrpcServer::Start({.address = address, .credentials = grpc::InsecureServerCredentials()},
                             services_);
  }

  InferenceService service_{nullptr};
  const std::vector<NamedService> services_ = {{"atelier.v1.InferenceService", &service_}};
};

TEST_F(GrpcServerTest, TellsThePortItTook) {
  RpcTestServer server(services_);
  EXPECT_THAT(server.server().address(), testing::StartsWith("127.0.0.1:"));
  EXPECT_NE(server.server().address(), "127.0.0.1:0");
}

TEST_F(GrpcServerTest, ItsThreadsGiveWayToThoseThatCompute) {
  const auto server = StartAt("127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status();
  const int own = getpriority(PRIO_PROCESS, 0);
  // A thread names itself, some time after it was started.
  std::vector<id_t> threads;
  ASSERT_TRUE(WaitFor([&] { return !(threads = ThreadsNamed("nexting_thread")).empty(); }));
  for (const id_t id : threads) {
    EXPECT_EQ(getpriority(PRIO_PROCESS, id), std::min(own + 5, 19));
  }
}

// In gRPC 1.51 each would wait for some 60 ms.
TEST_F(GrpcServerTest, ACallAfterASilentSecondDoesNotWait) {
  const GrpcThreads threads;
  RpcTestServer server(services_);
  const auto health = grpc::health::v1::Health::NewStub(server.channel());
  absl::Duration quickest = absl::InfiniteDuration();
  for (int i = 0; i < 4; ++i) {
    grpc::ClientContext context;
    grpc::health::v1::HealthCheckResponse response;
    const absl::Time begin = absl::Now();
    ASSERT_TRUE(health->Check(&context, {}, &response).ok());
    if (i > 0) quickest = std::min(quickest, absl::Now() - begin);
    absl::SleepFor(absl::Milliseconds(1040));
  }
  EXPECT_LT(quickest, absl::Milliseconds(20));
}

TEST_F(GrpcServerTest, RefusesAPortThatIsTakenAndNamesIt) {
  RpcTestServer server(services_);
  const auto second = StartAt(server.server().address());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(server.server().address()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

TEST_F(GrpcServerTest, RefusesAnAddressOfAnotherMachine) {
  EXPECT_THAT(std::string(StartAt("192.0.2.1:1234").status().message()), HasSubstr("192.0.2.1"));
}

TEST_F(GrpcServerTest, HealthFollowsTheServerAndItsServices) {
  RpcTestServer server(services_);
  const auto check = [&](const std::string& name) {
    const std::string request =
        name.empty() ? ""
                     : absl::StrCat("\n", std::string(1, static_cast<char>(name.size())), name);
    return CallRaw(server.channel(), "/grpc.health.v1.Health/Check", request);
  };
  const std::string serving = "\x08\x01", not_serving = "\x08\x02";
  EXPECT_EQ(check(""), serving);
  EXPECT_EQ(check("atelier.v1.InferenceService"), serving);
  server.server().SetServing(false);
  EXPECT_EQ(check(""), not_serving);
  EXPECT_EQ(check("atelier.v1.InferenceService"), not_serving);
}

TEST_F(GrpcServerTest, ClosesAConnectionThatIsIdle) {
  const auto server = GrpcServer::Start({.address = "127.0.0.1:0",
                                         .credentials = grpc::InsecureServerCredentials(),
                                         .public_services = true,
                                         .max_idle = absl::Milliseconds(100)},
                                        services_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel =
      grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials());
  const std::string serving = "\x08\x01";
  EXPECT_EQ(CallRaw(channel, "/grpc.health.v1.Health/Check", ""), serving);
  EXPECT_TRUE(WaitFor([&] { return channel->GetState(false) != GRPC_CHANNEL_READY; }));
  EXPECT_EQ(CallRaw(channel, "/grpc.health.v1.Health/Check", ""), serving) << "and takes it back";
}

TEST_F(GrpcServerTest, ReflectionNamesTheServices) {
  RpcTestServer server(services_);
  const std::string list_services = {'\x3a', '\x01', '*'};
  EXPECT_THAT(
      CallRaw(server.channel(), "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
              list_services),
      HasSubstr("atelier.v1.InferenceService"));
}

TEST_F(GrpcServerTest, RefusesCompressedMessages) {
  const auto for_workers = StartAt("127.0.0.1:0");
  ASSERT_TRUE(for_workers.ok()) << for_workers.status();
  RpcTestServer public_services(services_);
  for (const std::string& address :
       {(*for_workers)->address(), public_services.server().address()}) {
    const auto stub = v1::InferenceService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
    v1::ClassifyRequest request;
    request.set_model(std::string(1 << 20, 'x'));
    grpc::ClientContext context;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    v1::ClassifyResponse response;
    const grpc::Status status = stub->Classify(&context, request, &response);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("gzip"));
  }
}

// Opens streams that say one thing and stay open; returns how many were answered.
int OpenStreams(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                const std::string& message, int count, std::size_t* threads) {
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call;
    grpc::ByteBuffer answer;
  };
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  int answered = 0;
  std::vector<std::unique_ptr<Stream>> streams;
  const grpc::Slice slice(message);
  for (int i = 0; i < count; ++i) {
    auto stream = std::make_unique<Stream>();
    stream->call = stub.PrepareCall(&stream->context, method, &queue);
    stream->call->StartCall(nullptr);
    queue.Next(&tag, &ok);
    stream->call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    queue.Next(&tag, &ok);
    stream->call->Read(&stream->answer, nullptr);
    queue.Next(&tag, &ok);
    if (ok) ++answered;
    streams.push_back(std::move(stream));
  }
  *threads = static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
  for (const auto& stream : streams) {
    stream->context.TryCancel();
    grpc::Status status;
    stream->call->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
  }
  return answered;
}

TEST_F(GrpcServerTest, OpenStreamsOfReflectionAndHealthTakeFewThreads) {
  RpcTestServer server(services_);
  std::size_t threads = 0;
  EXPECT_EQ(OpenStreams(server.channel(), "/grpc.health.v1.Health/Watch", "", 300, &threads), 300);
  EXPECT_LT(threads, 60);
  const std::string reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  const std::string list_services = {'\x3a', '\x01', '*'};
  EXPECT_EQ(OpenStreams(server.channel(), reflection, list_services, 300, &threads), 300);
  EXPECT_LT(threads, 60);
}

TEST_F(GrpcServerTest, ReplacesASocketThatAKilledServerLeft) {
  const models::TemporaryFolder folder;
  const std::string path = folder.File("a.sock");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const int left = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(left, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(left);
  EXPECT_TRUE(StartAt("unix:" + path).ok());
}

TEST_F(GrpcServerTest, LeavesASocketAloneThatIsInUse) {
  const models::TemporaryFolder folder;
  const std::string address = "unix:" + folder.File("a.sock");
  const auto first = StartAt(address);
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = StartAt(address);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another program"));
}

TEST_F(GrpcServerTest, LeavesAFileAloneThatIsNoSocket) {
  const models::TemporaryFolder folder;
  const std::string path = folder.File("a.sock");
  ASSERT_TRUE(std::ofstream(path) << "mine");
  const auto server = StartAt("unix:" + path);
  EXPECT_EQ(server.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("no socket"));
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

TEST_F(GrpcServerTest, RefusesASocketInAMissingFolder) {
  EXPECT_EQ(StartAt("unix:/nowhere/a.sock").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(GrpcServerTest, ItMayBeginWithoutServingAndSayWhyItLacksMethods) {
  OtherMethods others(OnlyReplica());
  auto server = GrpcServer::Start({.address = "127.0.0.1:0",
                                   .credentials = grpc::InsecureServerCredentials(),
                                   .public_services = true,
                                   .serving = false,
                                   .others = &others},
                                  services_);
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel =
      grpc::CreateChannel((*server)->address(), grpc::InsecureChannelCredentials());
  const std::string serving("\x08\x01", 2);
  EXPECT_EQ(CallRaw(channel, "/grpc.health.v1.Health/Check", ""), std::string("\x08\x02", 2));
  (*server)->SetServing(true);
  EXPECT_EQ(CallRaw(channel, "/grpc.health.v1.Health/Check", ""), serving);
  EXPECT_THAT(CallRaw(channel, "/atelier.v1.TrainingService/StartTraining", "x"),
              HasSubstr("This server is a serving replica"));
}

}  // namespace
}  // namespace atelier::rpc
