#include "server/rpc/peer_connections.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace atelier::rpc {
namespace {

// As gRPC calls the other side of a TCP connection; empty for other sockets.
std::string PeerOf(int connection) {
  sockaddr_in6 six = {};
  socklen_t size = sizeof(six);
  if (getpeername(connection, reinterpret_cast<sockaddr*>(&six), &size) != 0) return "";
  char text[INET6_ADDRSTRLEN];
  const int port = ntohs(six.sin6_port);  // At the same place in both families.
  if (six.sin6_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&six)->sin_addr, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", port);
  }
  if (six.sin6_family != AF_INET6) return "";
  if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) {
    inet_ntop(AF_INET, six.sin6_addr.s6_addr + 12, text, sizeof(text));
    return absl::StrCat("ipv4:", text, ":", port);
  }
  inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text));
  return absl::StrCat("ipv6:%5B", text, "%5D:", port);
}

// Since it began; 0 if it is not the connection to `peer` any more.
std::uint64_t ReceivedBytes(int connection, const std::string& peer) {
  if (PeerOf(connection) != peer) return 0;
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(connection, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
  return info.tcpi_bytes_received;
}

}  // namespace

void PeerConnections::Add(int connection) {
  std::string peer = PeerOf(connection);
  absl::MutexLock lock(&mutex_);
  std::string& known = peers_[connection];
  const auto before = connections_.find(known);
  if (before != connections_.end() && before->second.descriptor == connection) {
    connections_.erase(before);
  }
  known = std::move(peer);
  if (!known.empty()) connections_[known] = {connection, 0};
}

int PeerConnections::Find(const std::string& peer) const {
  absl::MutexLock lock(&mutex_);
  const auto found = connections_.find(peer);
  return found == connections_.end() ? -1 : found->second.descriptor;
}

bool PeerConnections::Break(const std::string& peer) const {
  const int connection = Find(peer);
  if (connection < 0 || PeerOf(connection) != peer) return false;
  // What a shutdown would leave to be read first.
  const sockaddr nobody = {.sa_family = AF_UNSPEC, .sa_data = {}};
  return connect(connection, &nobody, sizeof(nobody)) == 0;
}

void PeerConnections::Mark() {
  absl::MutexLock lock(&mutex_);
  for (auto& [peer, connection] : connections_) {
    connection.marked_bytes = ReceivedBytes(connection.descriptor, peer);
  }
}

std::vector<std::string> PeerConnections::BreakBusiest() {
  std::vector<std::pair<std::uint64_t, std::string>> received;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [peer, connection] : connections_) {
      const std::uint64_t before =
          std::exchange(connection.marked_bytes, ReceivedBytes(connection.descriptor, peer));
      if (connection.marked_bytes > before) {
        received.emplace_back(connection.marked_bytes - before, peer);
      }
    }
  }
  std::vector<std::string> broken;
  std::sort(received.rbegin(), received.rend());
  for (const auto& [bytes, peer] : received) {
    if (bytes < received.front().first / 4) break;
    if (Break(peer)) broken.push_back(peer);
  }
  return broken;
}

}  // namespace atelier::rpc
