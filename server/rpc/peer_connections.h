// The TCP connections of a server, by the name that gRPC has for their other side.
#ifndef ATELIER_SERVER_RPC_PEER_CONNECTIONS_H_
#define ATELIER_SERVER_RPC_PEER_CONNECTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace atelier::rpc {

// Thread-safe. Its mutex is a leaf.
class PeerConnections {
 public:
  PeerConnections() = default;
  PeerConnections(const PeerConnections&) = delete;
  PeerConnections& operator=(const PeerConnections&) = delete;

  // A connection that was accepted. Closing one need not be told: its descriptor's next connection
  // takes its place. Until then a stranger's socket may be found in its stead.
  void Add(int connection);

  // The descriptor of the connection to `peer` as gRPC calls it; -1 if nothing is known of it.
  int Find(const std::string& peer) const;

  // Ends the connection at once, and forgets what has come and was not read. gRPC, which owns the
  // descriptor, then sees it broken. False if it is not there any more.
  bool Break(const std::string& peer) const;

  // Remembers how much each connection has received.
  void Mark();
  // Breaks those that have received most since then, at least a quarter of what one has, and
  // answers with their names. Marks again.
  std::vector<std::string> BreakBusiest();

 private:
  struct Connection {
    int descriptor = -1;
    std::uint64_t marked_bytes = 0;
  };

  mutable absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Connection> connections_ ABSL_GUARDED_BY(mutex_);  // By peer.
  absl::flat_hash_map<int, std::string> peers_ ABSL_GUARDED_BY(mutex_);  // Of each of them.
};

}  // namespace atelier::rpc

#endif  // ATELIER_SERVER_RPC_PEER_CONNECTIONS_H_
