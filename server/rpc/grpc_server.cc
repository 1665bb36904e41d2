#include "server/rpc/grpc_server.h"

#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpc/grpc.h"
#include "grpc/health/v1/health.pb.h"
#include "grpcpp/ext/health_check_service_server_builder_option.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/server_builder.h"
#include "server/rpc/call_interceptor.h"

namespace atelier::rpc {
namespace {

constexpr absl::string_view kUnixPrefix = "unix:";

// gRPC's reflection library gives reflection to every server of the process; ours have their own
// say.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    const std::string reflection = grpc::reflection::ProtoServerReflectionPlugin().name();
    std::erase_if(*plugins, [&](const auto& plugin) { return plugin->name() == reflection; });
  }
};

// gRPC replaces whatever socket has the name, also one that is in use.
absl::Status CheckSocketIsFree(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", kUnixPrefix, path, ": a socket's path has ",
                     sizeof(address.sun_path) - 1, " bytes at most, this one has ", path.size()));
  }
  struct stat there = {};
  if (stat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode)) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", kUnixPrefix, path,
                                               ": something that is no socket has that name"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return absl::ErrnoToStatus(errno, "cannot make a socket");
  const bool answered =
      connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  close(probe);
  if (!answered) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot listen on ", kUnixPrefix, path, ": another program listens there"));
}

// Why a TCP address cannot be listened on, which gRPC does not tell.
std::string WhyNot(absl::string_view host_port) {
  const std::size_t colon = host_port.rfind(':');
  absl::string_view host = host_port.substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* addresses = nullptr;
  const int failed =
      getaddrinfo(std::string(host).c_str(), std::string(host_port.substr(colon + 1)).c_str(),
                  &hints, &addresses);
  if (failed != 0) return gai_strerror(failed);
  const int probe = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int reuse = 1;
  setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
  const bool bound = bind(probe, addresses->ai_addr, addresses->ai_addrlen) == 0;
  std::string why = bound ? "the port is taken" : std::strerror(errno);
  close(probe);
  freeaddrinfo(addresses);
  return why;
}

void Configure(const GrpcServer::Options& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(options.max_receive_bytes);
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Clients that vanished without a word are noticed, and ours may look for us as often.
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 10'000);
  // Reflection is the only service that is not asynchronous.
  builder->SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MIN_POLLERS, 1);
  builder->SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  if (!options.for_strangers) {
    builder->SetOption(std::make_unique<WithoutReflection>());
    builder->SetOption(std::make_unique<grpc::HealthCheckServiceServerBuilderOption>(nullptr));
  }
}

void ObserveCalls(const GrpcServer::Options& options, const std::vector<NamedService>& services,
                  grpc::ServerBuilder* builder) {
  std::vector<std::string> names;
  for (const NamedService& named : services) names.push_back(named.name);
  if (options.for_strangers) {
    names.push_back(
        grpc::health::v1::HealthCheckRequest::descriptor()->file()->service(0)->full_name());
    names.push_back("grpc.reflection.v1alpha.ServerReflection");
  }
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(InterceptCalls(options.calls, names));
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

}  // namespace

GrpcThreads::GrpcThreads() { GivingWay(grpc_init); }

GrpcThreads::~GrpcThreads() { grpc_shutdown(); }

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(
    const Options& options, const std::vector<NamedService>& services) {
  absl::string_view path = options.address;
  const bool is_unix = absl::ConsumePrefix(&path, kUnixPrefix);
  if (is_unix) {
    if (const absl::Status status = CheckSocketIsFree(std::string(path)); !status.ok()) {
      return status;
    }
  }
  grpc::EnableDefaultHealthCheckService(options.for_strangers);
  grpc::ServerBuilder builder;
  Configure(options, &builder);
  int port = 0;
  builder.AddListeningPort(options.address, options.credentials, &port);
  for (const NamedService& named : services) builder.RegisterService(named.service);
  if (options.calls != nullptr) ObserveCalls(options, services, &builder);
  std::unique_ptr<grpc::Server> server;
  GivingWay([&] { server = builder.BuildAndStart(); });
  if (server == nullptr || port == 0) {
    const std::string why =
        is_unix ? "the folder is missing or not writable" : WhyNot(options.address);
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.address, ": ", why));
  }
  if (auto* health = server->GetHealthCheckService()) {
    for (const NamedService& named : services) health->SetServingStatus(named.name, true);
  }
  std::string address = options.address;
  if (!is_unix) address = absl::StrCat(address.substr(0, address.rfind(':') + 1), port);
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(address), std::move(server)));
}

GrpcServer::~GrpcServer() { Shutdown(absl::ZeroDuration()); }

void GrpcServer::SetServing(bool serving) {
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(serving);
}

void GrpcServer::Shutdown(absl::Duration patience) {
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(patience));
}

}  // namespace atelier::rpc
