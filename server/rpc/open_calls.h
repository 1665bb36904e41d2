// Bounds the calls of each connection that the server has begun and not ended.
//
// HTTP/2 bounds how many calls of a connection its client may have open. One that the client resets
// as soon as it has sent it makes room for the next at once, although the server still works on it
// ("rapid reset", CVE-2023-44487), and gRPC 1.51 begins as many as come. So a connection that has
// more of them than it may have open, and as many again that it has withdrawn, is broken.
#ifndef ATELIER_SERVER_RPC_OPEN_CALLS_H_
#define ATELIER_SERVER_RPC_OPEN_CALLS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "grpcpp/support/server_interceptor.h"
#include "server/rpc/peer_connections.h"

namespace atelier::rpc {

// Thread-safe. Its mutex is a leaf.
class OpenCalls {
 public:
  // `broken`, which may be null, is told of each connection that is broken. `connections` must live
  // as long.
  OpenCalls(int most, const PeerConnections* connections,
            std::function<void(const std::string& peer)> broken)
      : most_(most), connections_(connections), broken_(std::move(broken)) {}
  OpenCalls(const OpenCalls&) = delete;
  OpenCalls& operator=(const OpenCalls&) = delete;

  // A call of the connection to `peer` begins; with more than `most`, it is broken.
  void Begin(const std::string& peer);
  void End(const std::string& peer);

 private:
  const int most_;
  const PeerConnections* const connections_;
  const std::function<void(const std::string& peer)> broken_;
  absl::Mutex mutex_;
  // By peer; connections without any are left out.
  absl::flat_hash_map<std::string, int> calls_ ABSL_GUARDED_BY(mutex_);
};

// For grpc::ServerBuilder. `calls` must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> LimitCalls(OpenCalls* calls);

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_OPEN_CALLS_H_
