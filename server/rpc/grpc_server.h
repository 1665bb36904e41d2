// A gRPC server on one address, with what all of ours have in common: no port shared with another
// process, message limits, no compressed messages, keepalive, few threads.
#ifndef ATELIER_SERVER_RPC_GRPC_SERVER_H_
#define ATELIER_SERVER_RPC_GRPC_SERVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/generic/async_generic_service.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "server/access/audit_log.h"
#include "server/access/gatekeeper.h"
#include "server/base/tick_thread.h"
#include "server/rpc/call_memory.h"
#include "server/rpc/call_observer.h"
#include "server/rpc/connection_listener.h"
#include "server/rpc/open_calls.h"
#include "server/rpc/peer_connections.h"
#include "server/rpc/reflection_service.h"

namespace atelier::rpc {

// The threads that gRPC has for itself, giving way to those that compute as a server's do, and kept
// awake. To be made before anything else of gRPC's, which would start them as they come.
class GrpcThreads {
 public:
  GrpcThreads();
  ~GrpcThreads();
  GrpcThreads(const GrpcThreads&) = delete;
  GrpcThreads& operator=(const GrpcThreads&) = delete;

 private:
  std::unique_ptr<grpc::GenericStub> nobody_;  // Its calls fail.
  std::unique_ptr<TickThread> calls_;
};

// A service and the name by which clients ask for its health.
struct NamedService {
  std::string name;
  grpc::Service* service;
};

// The largest message that a client may send, unless a server is told otherwise.
inline constexpr int kMaxRequestBytes = 16 << 20;

// Thread-safe, SetServing and Shutdown from one thread.
class GrpcServer {
 public:
  struct Options {
    std::string address;  // `HOST:PORT`, where port 0 takes a free one, or `unix:PATH`.
    std::shared_ptr<grpc::ServerCredentials> credentials;
    int max_receive_bytes = kMaxRequestBytes;
    // Adds grpc.health.v1.Health, which tells of every service and of the server as a whole, and
    // server reflection; and bounds what one connection can take.
    bool public_services = false;
    // A connection that has had no call for this long is closed.
    absl::Duration max_idle = absl::Hours(1);
    CallObserver* calls = nullptr;  // Told of every call of its services; null for nobody.
    // What the calls of `services` may hold; null for as much as they like. Must outlive the
    // server.
    CallMemory* memory = nullptr;
    // Asks who makes each call; null admits all. Must outlive the server.
    access::Gatekeeper* gatekeeper = nullptr;
    // Where calls go that change something, if there is a gatekeeper; null for nowhere. Must
    // outlive the server.
    access::AuditLog* audit = nullptr;
    // What the health service says at the start.
    bool serving = true;
    // Answers calls of methods that no service has; null leaves that to gRPC. Must outlive the
    // server.
    grpc::CallbackGenericService* others = nullptr;
    // Learns its connections; null for nobody, and then nothing bounds the calls that a client
    // withdraws. Must outlive the server.
    PeerConnections* connections = nullptr;
    // Told of each connection that is broken for the calls that it withdraws; null for nobody.
    std::function<void(const std::string& peer)> broken = nullptr;
  };

  // Listens and serves; `services` must outlive the server. UNAVAILABLE, naming the address and the
  // cause, if it cannot listen there. A socket that a killed server left is replaced, one that
  // somebody listens on is not.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(
      const Options& options, const std::vector<NamedService>& services);
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  // As in Options, with the port that was really taken.
  const std::string& address() const { return listener_->address(); }

  // What the health service says of all services.
  void SetServing(bool serving);

  // Takes no new calls, waits for those there are, cancels what is left after `patience`.
  void Shutdown(absl::Duration patience);

 private:
  GrpcServer(std::unique_ptr<ConnectionListener> listener, std::unique_ptr<OpenCalls> open_calls,
             std::unique_ptr<ReflectionService> reflection, std::unique_ptr<grpc::Server> server)
      : open_calls_(std::move(open_calls)),
        reflection_(std::move(reflection)),
        server_(std::move(server)),
        listener_(std::move(listener)) {}

  const std::unique_ptr<OpenCalls> open_calls_;          // Null where they have no bound.
  const std::unique_ptr<ReflectionService> reflection_;  // Null where it is not offered.
  const std::unique_ptr<grpc::Server> server_;
  const std::unique_ptr<ConnectionListener> listener_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_GRPC_SERVER_H_
