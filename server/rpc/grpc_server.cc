#include "server/rpc/grpc_server.h"

#include <sys/resource.h>

#include <chrono>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "grpc/compression.h"
#include "grpc/grpc.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/ext/health_check_service_server_builder_option.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/resource_quota.h"
#include "grpcpp/server_builder.h"
#include "server/rpc/access_interceptor.h"
#include "server/rpc/call_interceptor.h"
#include "server/rpc/memory_interceptor.h"
#include "server/rpc/reflection_service.h"

namespace atelier::rpc {
namespace {

constexpr int kMaxCallsPerConnection = 1000;
// Of a call, together: a token has 90 of them. Beyond it the call is refused.
constexpr int kMaxHeaderBytes = 8 << 10;
// Of messages that have not arrived as a whole, and of what gRPC itself needs for calls. Beyond it
// gRPC ends calls, RESOURCE_EXHAUSTED.
constexpr std::size_t kMaxIncomingBytes = 256 << 20;
void Configure(const GrpcServer::Options& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(options.max_receive_bytes);
  // Clients that vanished without a word are noticed, and ours may look for us as often.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // A connection without calls keeps a descriptor; clients connect again without a word.
  builder->AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS,
                              static_cast<int>(absl::ToInt64Milliseconds(options.max_idle)));
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxHeaderBytes);
  // Clients may ping as often as they like, with streams that are silent too: proxies and libraries
  // do so every few seconds, and gRPC itself bounds what unanswered pings can take.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  // gRPC unpacks a message before it judges its size: it must not unpack at all. The first refuses
  // a call that announces compression, and comes too late for its first message; the second leaves
  // that one packed.
  builder->AddChannelArgument(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET,
                              1 << GRPC_COMPRESS_NONE);
  builder->AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  if (options.public_services) {
    builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsPerConnection);
    grpc::ResourceQuota quota("strangers");
    quota.Resize(kMaxIncomingBytes);
    builder->SetResourceQuota(quota);
  } else {
    builder->SetOption(std::make_unique<grpc::HealthCheckServiceServerBuilderOption>(nullptr));
  }
}

// Those that clients can call.
std::vector<std::string> NamesOf(const GrpcServer::Options& options,
                                 const std::vector<NamedService>& services) {
  std::vector<std::string> names;
  for (const NamedService& named : services) names.push_back(named.name);
  if (options.public_services) {
    names.push_back(
        grpc::health::v1::HealthCheckRequest::descriptor()->file()->service(0)->full_name());
    names.push_back(grpc::reflection::v1alpha::ServerReflection::service_full_name());
  }
  return names;
}

void AddInterceptors(const GrpcServer::Options& options, const std::vector<NamedService>& services,
                     OpenCalls* open, grpc::ServerBuilder* builder) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  std::vector<std::string> ours;
  for (const NamedService& named : services) ours.push_back(named.name);
  if (options.memory != nullptr) interceptors.push_back(LimitMemory(options.memory, ours));
  if (options.gatekeeper != nullptr)
    interceptors.push_back(AskCallers(options.gatekeeper, options.audit));
  // Answers pass them in this order: what the first ones make of them is counted.
  if (options.calls != nullptr) {
    interceptors.push_back(InterceptCalls(options.calls, NamesOf(options, services)));
  }
  if (open != nullptr) {
    CountComing(open, builder);
    interceptors.push_back(LimitCalls(open));
  }
  builder->experimental().SetInterceptorCreators(std::move(interceptors));
}

// Calls it on a thread that gives way to those that compute (decision 093), as do the threads it
// starts: they inherit its niceness, which on Linux is a thread's own.
template <typename Function>
void GivingWay(Function function) {
  constexpr int kGivesWay = 5;
  std::thread([&] {
    setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + kGivesWay);
    function();
  }).join();
}

// Before anybody can ask.
void SetHealth(grpc::Server* server, bool serving, const std::vector<NamedService>& services) {
  auto* const health = server->GetHealthCheckService();
  if (health == nullptr) return;
  for (const NamedService& named : services) health->SetServingStatus(named.name, serving);
  if (!serving) health->SetServingStatus(false);
}

// When gRPC's threads that answer calls have had nothing to do for a second, all of them sleep for
// a tenth of a second, and a call that comes meanwhile waits. So they get something this often.
constexpr absl::Duration kWakeful = absl::Milliseconds(500);

// A call that fails at once; its end is what they get.
void CallNobody(grpc::GenericStub* nobody) {
  grpc::ClientContext context;
  grpc::Slice empty;
  grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  absl::Notification ended;
  nobody->UnaryCall(&context, "/nobody", grpc::StubOptions(), &request, &response,
                    [&ended](const grpc::Status& /*status*/) { ended.Notify(); });
  ended.WaitForNotification();
}

}  // namespace

GrpcThreads::GrpcThreads() {
  GivingWay([this] {
    grpc_init();
    // Without credentials a channel is one on which every call fails.
    nobody_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel("nobody", nullptr, grpc::ChannelArguments()));
    calls_ = std::make_unique<TickThread>(TickThread::Options{.name = "grpc-wakeful"}, [this] {
      CallNobody(nobody_.get());
      return kWakeful;
    });
  });
}

GrpcThreads::~GrpcThreads() {
  calls_.reset();
  nobody_.reset();
  grpc_shutdown();
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const Options& options, const std::vector<NamedService>& services) {
  if (options.gatekeeper != nullptr) {
    if (auto status = CheckRules(NamesOf(options, services)); !status.ok()) return status;
  }
  auto listener = ConnectionListener::Listen(
      {.address = options.address,
       .last_descriptor = options.public_services ? LastDescriptorForClients() : INT_MAX,
       .connections = options.connections});
  if (!listener.ok()) return listener.status();
  grpc::EnableDefaultHealthCheckService(options.public_services);
  grpc::ServerBuilder builder;
  Configure(options, &builder);
  auto acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD, options.credentials);
  for (const NamedService& named : services) builder.RegisterService(named.service);
  std::unique_ptr<ReflectionService> reflection;
  if (options.public_services) {
    reflection = std::make_unique<ReflectionService>(NamesOf(options, services));
    builder.RegisterService(reflection.get());
  }
  if (options.others != nullptr) builder.RegisterCallbackGenericService(options.others);
  std::unique_ptr<OpenCalls> open;
  if (options.connections != nullptr) {
    open = std::make_unique<OpenCalls>(
        OpenCalls::Options{.most = 2 * kMaxCallsPerConnection, .broken = options.broken},
        options.connections);
  }
  AddInterceptors(options, services, open.get(), &builder);
  std::unique_ptr<grpc::Server> server;
  GivingWay([&] {
    server = builder.BuildAndStart();
    if (server == nullptr) return;
    SetHealth(server.get(), options.serving, services);
    (*listener)->Start(std::move(acceptor));
  });
  if (server == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cannot serve on ", options.address, ": gRPC does not start"));
  }
  return std::unique_ptr<GrpcServer>(new GrpcServer(*std::move(listener), std::move(open),
                                                    std::move(reflection), std::move(server)));
}

GrpcServer::~GrpcServer() { Shutdown(absl::ZeroDuration()); }

void GrpcServer::SetServing(bool serving) {
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
}

void GrpcServer::Shutdown(absl::Duration patience) {
  listener_->Stop();
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(patience));
}

}  // namespace atelier::rpc
