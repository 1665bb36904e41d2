// Listens for a gRPC server and hands it the connections, in place of gRPC's own listener, which
// takes no connection ever again once the process has run out of descriptors for a moment, and
// takes as many as there are.
#ifndef ATELIER_SERVER_RPC_CONNECTION_LISTENER_H_
#define ATELIER_SERVER_RPC_CONNECTION_LISTENER_H_

#include <sys/socket.h>

#include <climits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/server_builder.h"
#include "server/rpc/peer_connections.h"

namespace atelier::rpc {

// The highest number of a descriptor that may be opened for a client. A new descriptor has the
// lowest number that is free, so those above stay for the workers, the database and the files that
// the server itself needs.
int LastDescriptorForClients();

// One thread uses it.
class ConnectionListener {
 public:
  struct Options {
    std::string address;  // `HOST:PORT`, where port 0 takes a free one, or `unix:PATH`.
    // A connection whose descriptor has a higher number is closed at once.
    int last_descriptor = INT_MAX;
    PeerConnections* connections = nullptr;  // Told of each connection; null for nobody.
  };

  // UNAVAILABLE or INVALID_ARGUMENT, naming the address and the cause, if it cannot listen there. A
  // socket that a killed server left is replaced, one that somebody listens on is not.
  static absl::StatusOr<std::unique_ptr<ConnectionListener>> Listen(const Options& options);
  ~ConnectionListener();
  ConnectionListener(const ConnectionListener&) = delete;
  ConnectionListener& operator=(const ConnectionListener&) = delete;

  // As in Options, with the port that was really taken.
  const std::string& address() const { return address_; }

  // Accepts from now on. Those that came before wait until then.
  void Start(std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor);

  // Accepts nothing more, and refuses new connections.
  void Stop();

 private:
  ConnectionListener(const Options& options, int stopped)
      : last_descriptor_(options.last_descriptor),
        connections_(options.connections),
        stopped_(stopped),
        address_(options.address) {}

  absl::Status ListenOnSocket(const std::string& path);
  absl::Status ListenOnPort();
  // What went wrong; empty if it listens on at least one of the host's addresses.
  std::string BindAll(const std::string& host, const std::string& port);
  // 0 or the error's number.
  int Bind(const sockaddr* address, socklen_t size);
  void Run();
  void Accept(int listening);

  // Constant once it listens.
  const int last_descriptor_;
  PeerConnections* const connections_;
  const int stopped_;  // An event: readable once it stops.
  std::string address_;
  std::string socket_path_;  // To be removed at the end.
  std::vector<int> listening_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;

  std::thread thread_;
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_CONNECTION_LISTENER_H_
