#include "server/rpc/corked_connections.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace atelier::rpc {
namespace {

// Those that this thread has corked; nothing while it answers no batch.
thread_local std::optional<std::vector<int>> corked;

void SetCork(int connection, int value) {
  // The connection may be gone meanwhile, or be no TCP.
  setsockopt(connection, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
}

}  // namespace

void CorkedConnections::Begin() { corked.emplace(); }

void CorkedConnections::Cork(const grpc::ServerContextBase& call) {
  if (corked.has_value()) Cork(call.peer());
}

void CorkedConnections::Cork(const std::string& peer) {
  if (!corked.has_value()) return;
  const int connection = connections_->Find(peer);
  if (connection < 0 || std::find(corked->begin(), corked->end(), connection) != corked->end()) {
    return;
  }
  SetCork(connection, 1);
  corked->push_back(connection);
}

void CorkedConnections::End() {
  for (const int connection : *corked) SetCork(connection, 0);
  corked.reset();
}

}  // namespace atelier::rpc
