// Bounds the calls that a server has not ended.
//
// HTTP/2 bounds how many calls of a connection its client may have open. One that the client resets
// as soon as it has sent it makes room for the next at once, although the server still has it
// ("rapid reset", CVE-2023-44487), and gRPC 1.51 takes as many as come. So a connection is broken
// that has begun more than twice as many as it may have open. As long as something comes gRPC does
// not even begin calls, and who they are from is not known yet; where too many of them wait, the
// connections are broken that have received most meanwhile.
#ifndef ATELIER_SERVER_RPC_OPEN_CALLS_H_
#define ATELIER_SERVER_RPC_OPEN_CALLS_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/server_builder.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/rpc/peer_connections.h"

namespace atelier::rpc {

// Thread-safe. Its mutex is a leaf.
class OpenCalls {
 public:
  struct Options {
    int most = 2000;  // Calls of a connection.
    // Calls that wait to begin: as many as twenty connections may have open.
    int most_waiting = 20'000;
    // Told of each connection that is broken; null for nobody.
    std::function<void(const std::string& peer)> broken = nullptr;
  };

  // `connections` must live as long.
  OpenCalls(Options options, PeerConnections* connections)
      : options_(std::move(options)), connections_(connections) {}
  OpenCalls(const OpenCalls&) = delete;
  OpenCalls& operator=(const OpenCalls&) = delete;

  // A call has come, of whichever connection.
  void Come();
  // One that had come begins, of the connection to `peer`.
  void Begin(const std::string& peer);
  void End(const std::string& peer);

 private:
  void Tell(const std::string& peer) const;

  const Options options_;
  PeerConnections* const connections_;
  std::atomic<int> waiting_ = 0;
  absl::Mutex mutex_;
  // By peer; connections without any are left out.
  absl::flat_hash_map<std::string, int> calls_ ABSL_GUARDED_BY(mutex_);
};

// Has a server tell of the calls that come. `calls` must outlive it.
void CountComing(OpenCalls* calls, grpc::ServerBuilder* builder);

// For grpc::ServerBuilder: tells of those that begin and end. `calls` must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> LimitCalls(OpenCalls* calls);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_OPEN_CALLS_H_
