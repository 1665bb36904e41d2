#include "server/rpc/connection_listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace atelier::rpc {
namespace {

constexpr absl::string_view kUnixPrefix = "unix:";
// Descriptors for clients, however many the system would allow: each connection takes memory, too.
constexpr rlim_t kMostForClients = 10'000;
// Before another attempt when there is no descriptor, or no memory, for a connection.
constexpr int kPauseMilliseconds = 100;

absl::Status CannotListen(absl::string_view address, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("cannot listen on ", address, ": ", why));
}

// A socket of that name would be replaced also while it is in use.
absl::Status CheckSocketIsFree(const std::string& path, sockaddr_un* address) {
  *address = {};
  address->sun_family = AF_UNIX;
  const std::string name = absl::StrCat(kUnixPrefix, path);
  if (path.size() >= sizeof(address->sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", name, ": a socket's path has ",
                     sizeof(address->sun_path) - 1, " bytes at most, this one has ", path.size()));
  }
  struct stat there = {};
  if (stat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode)) {
    return CannotListen(name, "something that is no socket has that name");
  }
  std::memcpy(address->sun_path, path.data(), path.size());
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return absl::ErrnoToStatus(errno, "cannot make a socket");
  const bool answered =
      connect(probe, reinterpret_cast<const sockaddr*>(address), sizeof(*address)) == 0;
  close(probe);
  if (answered) return CannotListen(name, "another program listens there");
  return absl::OkStatus();
}

int PortOf(int socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

}  // namespace

int LastDescriptorForClients() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return INT_MAX;
  const rlim_t limit = std::min<rlim_t>(files.rlim_cur, INT_MAX);
  const rlim_t reserved = std::min(std::max<rlim_t>(64, limit / 8), limit / 2);
  return static_cast<int>(std::min(limit - reserved, kMostForClients));
}

absl::StatusOr<std::unique_ptr<ConnectionListener>> ConnectionListener::Listen(
    const Options& options) {
  const int stopped = eventfd(0, EFD_CLOEXEC);
  if (stopped < 0) return absl::ErrnoToStatus(errno, "cannot make an event");
  std::unique_ptr<ConnectionListener> listener(new ConnectionListener(options, stopped));
  absl::string_view path = options.address;
  const absl::Status status = absl::ConsumePrefix(&path, kUnixPrefix)
                                  ? listener->ListenOnSocket(std::string(path))
                                  : listener->ListenOnPort();
  if (!status.ok()) return status;
  return listener;
}

ConnectionListener::~ConnectionListener() {
  Stop();
  close(stopped_);
}

absl::Status ConnectionListener::ListenOnSocket(const std::string& path) {
  sockaddr_un address;
  if (absl::Status status = CheckSocketIsFree(path, &address); !status.ok()) return status;
  unlink(path.c_str());
  const int error = Bind(reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (error != 0) return CannotListen(address_, std::strerror(error));
  socket_path_ = path;
  return absl::OkStatus();
}

absl::Status ConnectionListener::ListenOnPort() {
  const std::size_t colon = address_.rfind(':');
  absl::string_view host = absl::string_view(address_).substr(0, colon);
  const std::string port = address_.substr(colon + 1);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  // Where there is IPv6, its `::` is all addresses of both families.
  if (host != "0.0.0.0" || !BindAll("::", port).empty()) {
    const std::string why = BindAll(std::string(host), port);
    if (!why.empty()) return CannotListen(address_, why);
  }
  address_ = absl::StrCat(address_.substr(0, colon + 1), PortOf(listening_.front()));
  return absl::OkStatus();
}

std::string ConnectionListener::BindAll(const std::string& host, const std::string& port) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* addresses = nullptr;
  const int failed = getaddrinfo(host.c_str(), port.c_str(), &hints, &addresses);
  if (failed != 0) return gai_strerror(failed);
  std::string why;
  for (const addrinfo* address = addresses; address != nullptr; address = address->ai_next) {
    if (!listening_.empty()) {
      // The port has the same place in both families.
      reinterpret_cast<sockaddr_in*>(address->ai_addr)->sin_port =
          htons(static_cast<std::uint16_t>(PortOf(listening_.front())));
    }
    const int error = Bind(address->ai_addr, address->ai_addrlen);
    if (error != 0) why = std::strerror(error);
  }
  freeaddrinfo(addresses);
  return listening_.empty() ? why : "";
}

int ConnectionListener::Bind(const sockaddr* address, socklen_t size) {
  const int listening = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listening < 0) return errno;
  const int yes = 1;
  const int no = 0;
  if (address->sa_family != AF_UNIX) {
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    // Connections inherit it.
    setsockopt(listening, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  }
  if (address->sa_family == AF_INET6) {
    setsockopt(listening, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  if (bind(listening, address, size) != 0 || listen(listening, SOMAXCONN) != 0) {
    const int error = errno;
    close(listening);
    return error;
  }
  listening_.push_back(listening);
  return 0;
}

void ConnectionListener::Start(
    std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor) {
  acceptor_ = std::move(acceptor);
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "accept");
}

void ConnectionListener::Stop() {
  const std::uint64_t one = 1;
  if (thread_.joinable() && write(stopped_, &one, sizeof(one)) == sizeof(one)) thread_.join();
  for (const int listening : listening_) close(listening);
  listening_.clear();
  if (!socket_path_.empty()) unlink(std::exchange(socket_path_, "").c_str());
}

void ConnectionListener::Run() {
  std::vector<pollfd> polled = {{stopped_, POLLIN, 0}};
  for (const int listening : listening_) polled.push_back({listening, POLLIN, 0});
  while (true) {
    if (poll(polled.data(), polled.size(), -1) < 0) continue;
    if (polled.front().revents != 0) return;
    for (std::size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0) Accept(polled[i].fd);
    }
  }
}

void ConnectionListener::Accept(int listening) {
  const int connection = accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (connection < 0) {
    if (errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM) return;
    // It waits in the system's queue for better times.
    pollfd stopped = {stopped_, POLLIN, 0};
    poll(&stopped, 1, kPauseMilliseconds);
    return;
  }
  if (connection > last_descriptor_) {
    close(connection);
    return;
  }
  if (connections_ != nullptr) connections_->Add(connection);
  grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters parameters;
  parameters.listener_fd = listening;
  parameters.fd = connection;
  acceptor_->HandleNewConnection(&parameters);
}

}  // namespace atelier::rpc
